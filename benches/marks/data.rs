//! Logs whose every part follows from their number, as NDJSON and as syslog text.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

/// Messages as daemons write them: `%a` and `%b` are addresses, `%p` a port, `%u` a user, `%n` a number.
const KINDS: [Kind; 12] = [
    Kind::new(
        "sshd",
        "/var/log/auth.log",
        "ssh_login",
        "failure",
        "Failed password for %u from %a port %p ssh2",
    ),
    Kind::new(
        "sshd",
        "/var/log/auth.log",
        "ssh_login",
        "failure",
        "Failed password for invalid user %u from %a port %p ssh2",
    ),
    Kind::new(
        "sshd",
        "/var/log/auth.log",
        "ssh_login",
        "success",
        "Accepted publickey for %u from %a port %p ssh2: RSA SHA256:%n",
    ),
    Kind::new(
        "sshd",
        "/var/log/auth.log",
        "ssh_disconnect",
        "unknown",
        "Received disconnect from %a: 11: Bye Bye [preauth]",
    ),
    Kind::new(
        "sshd(pam_unix)",
        "/var/log/secure",
        "authentication",
        "failure",
        "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=%a  user=%u",
    ),
    Kind::new(
        "su(pam_unix)",
        "/var/log/secure",
        "session_opened",
        "success",
        "session opened for user %u by (uid=%n)",
    ),
    Kind::new(
        "sudo",
        "/var/log/auth.log",
        "sudo",
        "success",
        "%u : TTY=pts/%n ; PWD=/home/%u ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx",
    ),
    Kind::new(
        "apache2",
        "/var/log/apache2/error.log",
        "web_error",
        "failure",
        "[client %a] Directory index forbidden by rule: /var/www/html/%n/",
    ),
    Kind::new(
        "nginx",
        "/var/log/nginx/access.log",
        "http_request",
        "success",
        "%a - - \"GET /assets/app-%n.js HTTP/1.1\" 200 %p \"https://www.example.com/\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
    ),
    Kind::new(
        "dfs.DataNode$PacketResponder",
        "/var/log/hadoop-hdfs.log",
        "hdfs_log",
        "unknown",
        "PacketResponder 1 for block blk_%n%n terminating; src: /%a:%p dest: /%b:50010",
    ),
    Kind::new(
        "CBS",
        "C:\\Windows\\Logs\\CBS\\CBS.log",
        "cbs_log",
        "unknown",
        "Loaded Servicing Stack v6.1.7601.%n with Core: C:\\Windows\\winsxs\\amd64_microsoft-windows-servicingstack_%n\\cbscore.dll",
    ),
    Kind::new(
        "kernel",
        "/var/log/messages",
        "firewall",
        "failure",
        "[UFW BLOCK] IN=eth0 OUT= SRC=%a DST=%b LEN=60 TOS=0x00 PREC=0x00 TTL=48 ID=%n DF PROTO=TCP SPT=%p DPT=22",
    ),
];

struct Kind {
    program: &'static str,
    file: &'static str,
    event: &'static str,
    outcome: &'static str,
    message: &'static str,
}

impl Kind {
    const fn new(
        program: &'static str,
        file: &'static str,
        event: &'static str,
        outcome: &'static str,
        message: &'static str,
    ) -> Self {
        Self {
            program,
            file,
            event,
            outcome,
            message,
        }
    }
}

const USERS: [&str; 8] = [
    "root", "admin", "alice", "bob", "postgres", "oracle", "deploy", "backup",
];
const ROLES: [&str; 8] = ["web", "db", "mail", "vpn", "bastion", "k8s-node", "fw", "build"];

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// 12 fields, about 600 bytes.
    Json,
    /// About 130 bytes.
    Syslog,
}

/// Rows of one second.
pub(crate) const RATE: usize = 500;

/// When the log of this number was written.
pub(crate) fn time(row: usize) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2025-01-15T00:00:00Z".parse().expect("a time");
    let millis = row * 1_000 / RATE + number(row, 0, 2);
    start + TimeDelta::milliseconds(i64::try_from(millis).expect("a short time"))
}

/// Writes the logs with these numbers, and says how many bytes they are.
pub(crate) fn write(path: &Path, rows: std::ops::Range<usize>, form: Form) -> u64 {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    let mut bytes = 0;
    for row in rows {
        let line = line(row, form);
        bytes += line.len() as u64 + 1;
        writeln!(file, "{line}").expect("a line is written");
    }
    file.flush().expect("the file is written");
    bytes
}

fn line(row: usize, form: Form) -> String {
    let kind = &KINDS[number(row, 1, KINDS.len())];
    // A few hosts, users and addresses write most of the lines.
    let host = number(row, 2, 200).min(number(row, 3, 200));
    let host = format!("{}-{host:03}", ROLES[host % ROLES.len()]);
    let [source, dest] =
        [4, 5].map(|salt| address(number(row, salt, 20_000).min(number(row, salt + 10, 20_000))));
    let user = USERS[number(row, 6, USERS.len()).min(number(row, 7, USERS.len()))];
    let port = 1_024 + number(row, 8, 64_000);
    let pid = 300 + number(row, 9, 32_000);
    let message = kind
        .message
        .replace("%a", &source)
        .replace("%b", &dest)
        .replace("%p", &port.to_string())
        .replace("%u", user)
        .replace("%n", &number(row, 20, 10_000).to_string());
    let time = time(row);
    let raw = format!(
        "{} {host} {}[{pid}]: {message}",
        time.format("%b %e %H:%M:%S"),
        kind.program
    );
    if form == Form::Syslog {
        return raw;
    }
    let normalized = serde_json::json!({
        "event": kind.event, "outcome": kind.outcome, "src_ip": source, "src_port": port, "user": user,
    });
    serde_json::json!({
        "id": format!("{:016x}", mixed(row as u64)), "timestamp": time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "raw": raw, "appname": kind.program, "file": kind.file, "host": host, "hostname": format!("{host}.corp.example"),
        "message": message, "procid": pid.to_string(), "source_type": "syslog", "normalized": normalized,
        "metadata": {"level": if kind.outcome == "failure" { "err" } else { "info" }, "facility": "authpriv"},
    })
    .to_string()
}

fn address(number: usize) -> String {
    let bits = mixed(number as u64 + 1_000_000);
    format!(
        "{}.{}.{}.{}",
        1 + bits % 223,
        bits >> 8 & 255,
        bits >> 16 & 255,
        1 + (bits >> 24) % 254
    )
}

/// A number below `below`, as good as random.
fn number(row: usize, salt: usize, below: usize) -> usize {
    usize::try_from(mixed((row * 64 + salt) as u64) % below as u64).expect("it is below a usize")
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn mixed(value: u64) -> u64 {
    let mut bits = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
