#!/bin/sh
# Installs what the fault tests use from Debian: real clients and servers, and the tools that make faults.
# Does nothing, and succeeds, where it cannot: the tests then say what they miss.
set -u

# command:package
wanted='
smbd:samba
smbclient:smbclient
sshd:openssh-server
ssh:openssh-client
rsync:rsync
setpriv:util-linux
unshare:util-linux
nsenter:util-linux
mount:mount
systemd-analyze:systemd
journalctl:systemd
'

PATH="$PATH:/usr/sbin:/sbin"
missing=
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || case " $missing " in
        *" ${pair#*:} "*) ;;
        *) missing="$missing ${pair#*:}" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "install-packages: not root, or no apt-get; missing:$missing" >&2
    exit 0
fi

# Packages that start their service on installation must not: the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of words
if ! { apt-get -qq update && apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
    echo "install-packages: apt-get could not install:$missing" >&2
    tail -n 5 "$log" >&2
fi
rm -f "$log"
exit 0
