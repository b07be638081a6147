# A server without the library must not get the extension: nothing would be enforced there.
# Not an SQL test, because it needs a server that was started without the library.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my ($result, $stdout, $stderr) =
  $node->psql('postgres', 'CREATE EXTENSION privacy_guard CASCADE');
isnt($result, 0, 'not preloaded: the extension cannot be created');
like(
	$stderr,
	qr/HINT:  Add privacy_guard to shared_preload_libraries/,
	'and the hint says what to do');

($result, $stdout, $stderr) =
  $node->psql('postgres', q{LOAD 'privacy_guard'});
isnt($result, 0, 'nor can the library be loaded later');

$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'privacy_guard'");
$node->restart;
$node->safe_psql('postgres', 'CREATE EXTENSION privacy_guard CASCADE');
pass('preloaded: it can');

$node->stop;
done_testing();
