# shellcheck shell=bash
# What everything here needs that starts a private PostgreSQL, on any Debian machine: packages, a user
# that is not root (as which PostgreSQL refuses to run), and a copy of the tree that this user owns.
# Sourced in the top directory by test/run and demo/run.

pg_config=${PG_CONFIG:-pg_config}
if [ "$(id -u)" -eq 0 ]; then
	user=guardtest
else
	user=$(id -un)
fi
cache=${PRIVACY_GUARD_CACHE:-/var/tmp/privacy_guard-$user}
# What "make VARIABLE=..." was given reaches every make below; the job server does not.
MAKEFLAGS=$(sed -E 's/(^| )(-j[0-9]*|--jobserver[^ ]*)//g' <<< "${MAKEFLAGS-}")

# The PostgreSQL in use, or the one that the distribution would install.
pg_major()
{
	"$pg_config" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p' | grep . ||
		apt-cache show postgresql 2>/dev/null | sed -n 's/^Version: \([0-9]*\).*/\1/p' | sort -n | tail -n 1
}

# missing_packages FILE...: what the files list and no installed package is or provides.
missing_packages()
{
	local major installed file
	major=$(pg_major)
	installed=$(dpkg-query -W -f '${Status}: ${Package}, ${Provides}\n' |
		sed -n 's/^install ok installed: //p' | tr ',' '\n' | sed -E 's/^ +//; s/ .*//' | sort -u)
	for file; do
		sed -e 's/#.*//' -e "s/PGMAJOR/${major:-PGMAJOR}/" "$file" 2>/dev/null || true
	done | sort -u | grep . | grep -vxF "$installed" || true
}

# install_packages FILE...: as root; others are told what is missing.
install_packages()
{
	local missing
	command -v dpkg-query > /dev/null || return 0
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "$0: these packages are missing; run as root or install them: ${missing//$'\n'/ }" >&2
		return 2
	fi
	apt-get update -q
	# shellcheck disable=SC2046
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(missing_packages "$@")
}

# own_place DIRECTORY: takes it as $work for as_user, with a copy of the tree in it.
own_place()
{
	work=$1 bindir=
	chmod 755 "$work"
	mkdir "$work/tree"
	if [ "$(id -u)" -eq 0 ]; then
		id "$user" > /dev/null 2>&1 || useradd --system --no-create-home --shell /bin/sh "$user"
		chown "$user" "$work" "$work/tree"
	fi
	as_user mkdir ../home ../tmp ../out ../pg
	tar -c --exclude=./.git --exclude=./tmp_check . | (cd "$work/tree" && tar -x --no-same-owner)
	[ "$(id -u)" -ne 0 ] || chown -R "$user" "$work/tree"
}

# as_user COMMAND...: in the copy of the tree, with an environment that holds nothing by chance.
as_user()
{
	local become=()
	[ "$(id -u)" -ne 0 ] || become=(runuser -u "$user" --)
	(cd "$work/tree" && exec "${become[@]}" env -i \
		PATH="${bindir:+$bindir:}$PATH" HOME="$work/home" TMPDIR="$work/tmp" LC_ALL=C.UTF-8 \
		PG_CONFIG="${bindir:+$bindir/}pg_config" PRIVACY_GUARD_CACHE="$cache" OUT="${OUT-}" \
		ONLY="${ONLY-}" CI="${CI-}" PRIVACY_GUARD_CRASH_ROUNDS="${PRIVACY_GUARD_CRASH_ROUNDS-}" \
		MAKEFLAGS="$MAKEFLAGS" "$@" < /dev/null)
}

# own_postgres: builds the extension into a copy of PostgreSQL in $work/pg, whose programs then lead.
own_postgres()
{
	bindir=$("$pg_config" --bindir)
	as_user bash -ec '. test/lib.sh; private_postgres "$1" "$2"' - "$bindir" "$work/pg" \
		> "$work/build.log" 2>&1 || { cat "$work/build.log"; return 1; }
	bindir=$work/pg$bindir
}
