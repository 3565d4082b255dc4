//! The programs that the conformance table stops: Debian's, in one tree that is the root of a container. Nothing is installed on
//! the machine, and no script of a package runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{debian, remove};
use crate::process;

/// What a container's root needs whatever runs in it: shells and what scripts call.
const BASE: [&str; 17] = [
    "base-files",
    "base-passwd",
    "bash",
    "bubblewrap",
    "coreutils",
    "curl",
    "dash",
    "findutils",
    "grep",
    "iproute2",
    "libcap2-bin",
    "mawk",
    "netcat-openbsd",
    "perl",
    "procps",
    "sed",
    "util-linux",
];

/// Inits, shells, languages and supervisors.
const RUNNERS: [&str; 18] = [
    "busybox-static",
    "catatonit",
    "dumb-init",
    "lua5.4",
    "mksh",
    "nodejs",
    "npm",
    "openjdk-17-jre-headless",
    "php-cli",
    "python3",
    "ruby",
    "runit",
    "s6",
    "socat",
    "supervisor",
    "tcl",
    "tini",
    "zsh",
];

/// Servers.
const SERVERS: [&str; 46] = [
    "apache2",
    "beanstalkd",
    "bind9",
    "caddy",
    "chrony",
    "coturn",
    "cron",
    "dbus",
    "dnsmasq-base",
    "dovecot-core",
    "dropbear",
    "etcd-server",
    "exim4-daemon-light",
    "gearman-job-server",
    "gunicorn",
    "h2o",
    "haproxy",
    "hitch",
    "icecast2",
    "knot",
    "lighttpd",
    "mariadb-server",
    "memcached",
    "monit",
    "mosquitto",
    "nginx",
    "ngircd",
    "nsd",
    "openbsd-inetd",
    "openssh-server",
    "pdns-recursor",
    "pgbouncer",
    "php-fpm",
    "postgresql",
    "prometheus-node-exporter",
    "puma",
    "redis-server",
    "rinetd",
    "rsync",
    "rsyslog",
    "squid",
    "stunnel4",
    "tinyproxy",
    "tor",
    "unbound",
    "varnish",
];

/// More servers, beyond what one list on a screen shows well.
const MORE_SERVERS: [&str; 6] = [
    "privoxy",
    "transmission-daemon",
    "uwsgi-core",
    "uwsgi-plugin-python3",
    "vsftpd",
    "webfs",
];

/// Users that the scripts of these packages would have made.
const USERS: [&str; 16] = [
    "_chrony",
    "bind",
    "dovecot",
    "dovenull",
    "haproxy",
    "memcache",
    "messagebus",
    "mosquitto",
    "mysql",
    "postgres",
    "redis",
    "sshd",
    "unbound",
    "vcache",
    "varnish",
    "nsd",
];

/// Their first id. Debian gives such users ids from 100 on.
const FIRST_ID: usize = 200;

/// What nobody needs to stop a program, and is half of the size.
const LEFT_OUT: [&str; 5] = [
    "usr/share/doc",
    "usr/share/icons",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
];

/// What is there when it is whole.
pub(super) const FILES: [&str; 4] = [
    "tree/usr/bin/dash",
    "tree/usr/bin/node",
    "tree/usr/sbin/nginx",
    "tree/etc/passwd",
];

/// Fetches all of them into the folder `tree` of `folder`.
pub(super) fn fetch(folder: &Path) -> Result<()> {
    let names = [&BASE[..], &RUNNERS, &SERVERS, &MORE_SERVERS].concat();
    let tree = debian::unpack_with_dependencies(&names, folder)?;
    for left_out in LEFT_OUT {
        remove(&tree.join(left_out))?;
    }
    for part in ["bin", "sbin", "lib", "lib64"] {
        merge_into_usr(&tree, part)?;
    }
    for empty in ["dev", "proc", "sys", "tmp", "run", "root"] {
        let path = tree.join(empty);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    for (link, target) in [("awk", "mawk"), ("sh", "dash"), ("nc", "nc.openbsd")] {
        let link = tree.join("usr/bin").join(link);
        if fs::symlink_metadata(&link).is_err() {
            symlink(target, &link).with_context(|| format!("cannot make {}", link.display()))?;
        }
    }
    let hosts = tree.join("etc/hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n::1 localhost\n")
        .with_context(|| format!("cannot write {}", hosts.display()))?;
    accounts(&tree)
}

/// Makes `/PART` a link to `/usr/PART`, as the packages expect and a script of one of them would do.
fn merge_into_usr(tree: &Path, part: &str) -> Result<()> {
    let (old, new) = (tree.join(part), tree.join("usr").join(part));
    if fs::symlink_metadata(&old).is_ok_and(|old| old.is_symlink()) {
        return Ok(());
    }
    fs::create_dir_all(&new).with_context(|| format!("cannot make {}", new.display()))?;
    if old.exists() {
        process::output(Command::new("cp").arg("-a").arg(old.join(".")).arg(&new))?;
        remove(&old)?;
    }
    symlink(Path::new("usr").join(part), &old)
        .with_context(|| format!("cannot make {}", old.display()))
}

/// Writes the files of users and groups.
fn accounts(tree: &Path) -> Result<()> {
    for (file, suffix) in [("passwd", ":/nonexistent:/usr/sbin/nologin"), ("group", "")] {
        let master = tree.join(format!("usr/share/base-passwd/{file}.master"));
        let mut text = fs::read_to_string(&master)
            .with_context(|| format!("cannot read {}", master.display()))?;
        for (id, user) in (FIRST_ID..).zip(USERS) {
            let line = if suffix.is_empty() {
                format!("{user}:x:{id}:\n")
            } else {
                format!("{user}:x:{id}:{id}:{suffix}\n")
            };
            text.push_str(&line);
        }
        let path = tree.join("etc").join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
