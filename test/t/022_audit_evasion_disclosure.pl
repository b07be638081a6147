# The same as 022_audit_evasion where every row is on record before it leaves the server: the records
# come in parts then.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use AuditedNode;    # whose libraries start with the program

$ENV{PRIVACY_GUARD_DURABILITY} = 'disclosure';
do "$FindBin::RealBin/022_audit_evasion.pl" or die $@ || $!;
