"""The shell scripts that run inside the container. What varies comes as arguments or on standard input.

Each reads exactly what it is told to expect: over TLS the end of standard input cannot be sent.
Source: POSIX shell, GNU coreutils and perl-base, which every Debian image has.
"""

AGAIN = 75  # exit code: the file is not what it was; it follows on standard output

# $1 a mark, then file names. Head (provisioner, release and whether quotas are on, single-file mounts, symbolic links,
# files with several names, may be written), then each file, a mark after each.
READ_SCRIPT = r"""
mark=$1; shift
cd /tmp/docker-mailserver || exit 66
printf '%s\n' "${ACCOUNT_PROVISIONER:-FILE}"
quotas=$(sed -n "s/^ENABLE_QUOTAS='\{0,1\}\([01]\).*/\1/p" /etc/dms-settings 2>/dev/null)
printf '%s %s\n' "${DMS_RELEASE:--}" "$quotas"
while read -r device place rest; do
  case $place in /tmp/docker-mailserver/*.cf) printf '%s ' "${place##*/}" ;; esac
done < /proc/mounts
printf '\n'
for file in postfix-accounts.cf postfix-virtual.cf dovecot-quotas.cf; do
  [ -L "$file" ] && printf '%s ' "$file"
done
printf '\n'
for file in postfix-accounts.cf postfix-virtual.cf dovecot-quotas.cf; do
  [ -f "$file" ] && [ "$(stat -L -c %h "$file")" -gt 1 ] && printf '%s ' "$file"
done
[ -w . ] && printf '\nyes' || printf '\nno'
printf '\n%s\n' "$mark"
for file; do
  if [ -e "$file" ]; then cat "$file" || exit 67; fi
  printf '\n%s\n' "$mark"
done
"""

# $1 file, $2 checksum it must still have, $3 checksum and $4 size of the new text on standard input.
# `flock` keeps two dashboards apart. `setup` knows no lock: so the files change places in one step of the kernel, and
# what came out is looked at; if somebody wrote into it up to that moment, they change back and nothing is lost.
WRITE_FILE = r"""
set -u; umask 077
file=$1 was=$2 new=$3 size=$4
cd /tmp/docker-mailserver || exit 66
if [ -L "$file" ]; then # the file that it leads to is exchanged, in its own folder
  file=$(readlink -f "$file") && cd "${file%/*}" || exit 73
  file=${file##*/}
fi
sum() { cat "$1" 2>/dev/null | sha256sum | cut -c1-64; }
case $(uname -m) in x86_64) renameat2=316 ;; aarch64) renameat2=276 ;; *) renameat2= ;; esac
exchange() {
  [ -n "$renameat2" ] || return 1
  perl -e 'exit(syscall($ARGV[0] + 0, -100, $ARGV[1], -100, $ARGV[2], 2) != 0)' "$renameat2" "$1" "$2" 2>/dev/null
}
again() { cat "$file" 2>/dev/null; exit 75; }
exec 9< .
flock -w 5 9 2>/dev/null
find . -maxdepth 1 -name "$file.*.postroom-new" -mmin +5 -delete 2>/dev/null
[ "$(sum "$file")" = "$was" ] || again
draft=$(mktemp --suffix=.postroom-new "$file.XXXXXX") || exit 73
trap 'rm -f "$draft"' EXIT
trap 'exit 143' TERM INT HUP
head -c "$size" > "$draft" || exit 73
[ "$(sum "$draft")" = "$new" ] || again
[ -e "$file" ] || (umask 022; : > "$file") || exit 73
chown --reference="$file" "$draft" && chmod --reference="$file" "$draft" || exit 73
sync "$draft" 2>/dev/null
[ "$(sum "$file")" = "$was" ] || again
trap '' TERM INT HUP # a deadline waits until what came out has been looked at
if exchange "$draft" "$file"; then
  # Whoever had the old one open for `>>` has written to it within this time.
  [ "$(sum "$draft")" = "$was" ] && sleep 0.005 && [ "$(sum "$draft")" = "$was" ] && exit 0
  exchange "$draft" "$file"
  [ "$(sum "$draft")" = "$new" ] || exchange "$draft" "$file"
  again
fi
mv -f "$draft" "$file" || exit 73
"""

# $1 number of addresses, which come on standard input. Nobody connected is no error.
KICK = r"""
n=$1
while [ "$n" -gt 0 ] && read -r address; do n=$((n - 1)); doveadm kick "$address" >/dev/null 2>&1; done
exit 0
"""

# The same; an address that could name anything but one folder below its domain's is left alone.
# Whatever is left is named on standard output: the address, a tab, why.
ERASE_MAIL = r"""
n=$1
while [ "$n" -gt 0 ] && read -r address; do
  n=$((n - 1)); user=${address%%@*} domain=${address#*@}
  case $user:$domain in *[!a-z0-9._+=:-]* | .* | *:.* | *..* | :* | *:)
    printf '%s\tit does not name one folder of mail\n' "$address"
    continue ;;
  esac
  why=$(rm -rf -- "/var/mail/$domain/$user" 2>&1) || printf '%s\t%s\n' "$address" "$(printf '%s' "$why" | head -n 1)"
done
[ "$n" -eq 0 ]
"""

# One fact on a line, its kind first. $1: the account whose being in effect is asked about, or nothing.
SERVICES = ("dovecot", "postfix", "changedetector")
FEATURES = "ACCOUNT_PROVISIONER|ENABLE_[A-Z0-9_]+|DMS_CONFIG_POLL|DOVECOT_MAILBOX_FORMAT|POSTFIX_MAILBOX_SIZE_LIMIT"
FACTS = f"""
cd /tmp/docker-mailserver 2>/dev/null
echo "release ${{DMS_RELEASE:-$(cat /VERSION 2>/dev/null)}}"
grep -E '^({FEATURES})=' /etc/dms-settings 2>/dev/null | sed "s/^/setting /; s/'//g"
supervisorctl status {" ".join(SERVICES)} 2>/dev/null |
  while read -r name state rest; do echo "service $name $state"; done
echo "queue $(postqueue -j 2>/dev/null | wc -l)"
df -Pk /var/mail 2>/dev/null | sed -n '2s/^[^ ]* */disk /p'
stat -c 'changed %.6Y' postfix-accounts.cf postfix-virtual.cf dovecot-quotas.cf 2>/dev/null
stat -c 'rebuilt %.6Y' /etc/dovecot/userdb 2>/dev/null
[ -e check-for-changes.sh.lock ] && echo 'rebuilding now'
echo "now $(date +%s.%N)"
[ -n "$1" ] || exit 0
column() {{ awk -F"$1" -v address="$2" -v n="$3" '$1 == address {{ print $n; exit }}' "$4"; }}
hash=$(column '|' "$1" 2 postfix-accounts.cf) fields=$(column '|' "$1" 3 postfix-accounts.cf)
case $(column : "$1" 2 /etc/dovecot/userdb):$(column : "$1" 8 /etc/dovecot/userdb) in
  "$hash:$fields"*) doveadm user "$1" >/dev/null 2>&1 && echo 'known yes' ;;
esac
exit 0
"""

# $1 a mark between the names of the accounts and Dovecot's table, which also lists aliases.
USAGE = """
cut -d'|' -f1 /tmp/docker-mailserver/postfix-accounts.cf 2>/dev/null; echo "$1"
exec doveadm -f tab quota get -A
"""
