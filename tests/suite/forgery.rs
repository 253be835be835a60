//! A client's text in a line is not taken for the daemon's, nor for this program's.

use std::io::Cursor;

use logstore::ingest::{AMBIGUOUS, IngestOptions, LogReader, PARSE_ERROR, TIME_SOURCE};
use logstore::{DuckDbStore, LogEntry, LogQuery, LogStore as _, MemoryStore, StoreExt as _};
use serde_json::{Value, json};

use crate::support::Cli;

fn read_as(text: &str, options: &IngestOptions) -> Vec<LogEntry> {
    let input = Cursor::new(text.as_bytes().to_vec());
    LogReader::new(input, options).map(Result::unwrap).collect()
}

fn read(line: &str) -> LogEntry {
    read_as(line, &IngestOptions::new()).remove(0)
}

fn sshd(message: &str) -> LogEntry {
    read(&format!("Oct 11 22:14:15 web1 sshd[42]: {message}"))
}

/// Asserts source, user, and what is ambiguous; `-` for nothing.
fn assert_says(log: &LogEntry, expected: [&str; 3]) {
    let ambiguous = log.metadata.get(AMBIGUOUS).and_then(Value::as_array);
    let names: Vec<&str> = ambiguous
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let found = [
        log.source_ip().unwrap_or_else(|| "-".into()),
        log.user().unwrap_or("-").into(),
        match names[..] {
            [] => "-".into(),
            _ => names.join(" ").into(),
        },
    ];
    assert_eq!(found, expected, "{:?}", log.raw);
}

/// Messages of sshd with a client's text, the address that the daemon wrote, and the user.
const OF_SSH: &[(&str, &str, &str)] = &[
    (
        "Failed password for invalid user x from 127.0.0.1 port 1 ssh2 from 203.0.113.9 port 9 ssh2",
        "203.0.113.9",
        "x from 127.0.0.1 port 1 ssh2",
    ),
    (
        "Failed password for invalid user x from 127.0.0.1 port 1 ssh2: y from 203.0.113.9 port 9 ssh2",
        "203.0.113.9",
        "x from 127.0.0.1 port 1 ssh2: y",
    ),
    (
        "Failed publickey for x from 127.0.0.1 port 1 ssh2: RSA SHA256:a from 203.0.113.9 port 9 ssh2: RSA SHA256:b",
        "203.0.113.9",
        "x from 127.0.0.1 port 1 ssh2: RSA SHA256:a",
    ),
    (
        "Invalid user x from 127.0.0.1 from 203.0.113.9 port 9",
        "203.0.113.9",
        "x from 127.0.0.1",
    ),
    (
        "Invalid user x from 127.0.0.1 port 9 from 203.0.113.9",
        "203.0.113.9",
        "x from 127.0.0.1 port 9",
    ),
    (
        "input_userauth_request: invalid user x from 127.0.0.1 port 9 [preauth]",
        "-",
        "x from 127.0.0.1 port 9",
    ),
    (
        "Connection closed by authenticating user test 127.0.0.1 203.0.113.11 port 22",
        "203.0.113.11",
        "test 127.0.0.1",
    ),
    (
        "Connection reset by invalid user x 127.0.0.1 port 9 203.0.113.9 port 22 [preauth]",
        "203.0.113.9",
        "x 127.0.0.1 port 9",
    ),
    (
        "Disconnected from invalid user x 127.0.0.1 port 9 [preauth] 203.0.113.9 port 22 [preauth]",
        "203.0.113.9",
        "x 127.0.0.1 port 9 [preauth]",
    ),
    (
        "Disconnecting invalid user x 127.0.0.1 port 9: y 203.0.113.9 port 22: Too many authentication failures [preauth]",
        "203.0.113.9",
        "x 127.0.0.1 port 9: y",
    ),
    (
        "Received disconnect from 203.0.113.9 port 22:11: bye from 127.0.0.1 port 1:11: [preauth]",
        "203.0.113.9",
        "-",
    ),
    (
        "Received disconnect from 203.0.113.9: 11: Disconnected from 127.0.0.1 [preauth]",
        "203.0.113.9",
        "-",
    ),
    (
        "Did not receive identification string from 203.0.113.9 port 22",
        "203.0.113.9",
        "-",
    ),
    (
        "Bad protocol version identification 'x' from 127.0.0.1 port 1' from 203.0.113.9 port 22",
        "203.0.113.9",
        "-",
    ),
    (
        "Unable to negotiate with 203.0.113.9 port 22: no matching cipher found. Their offer: x with 127.0.0.1 port 1: y",
        "203.0.113.9",
        "-",
    ),
    (
        "error: maximum authentication attempts exceeded for invalid user x from 127.0.0.1 port 1 ssh2 from 203.0.113.9 port 9 ssh2 [preauth]",
        "203.0.113.9",
        "x from 127.0.0.1 port 1 ssh2",
    ),
    (
        "error: PAM: Authentication failure for illegal user x from 127.0.0.1 from 203.0.113.9",
        "203.0.113.9",
        "x from 127.0.0.1",
    ),
    (
        "ssh_dispatch_run_fatal: Connection from invalid user x 127.0.0.1 port 1: y 203.0.113.9 port 22: message authentication code incorrect [preauth]",
        "203.0.113.9",
        "x 127.0.0.1 port 1: y",
    ),
    (
        "Connection closed by invalid user  203.0.113.9 port 9 [preauth]",
        "203.0.113.9",
        "-",
    ),
    (
        "message repeated 2 times: [ Failed password for x] from 127.0.0.1 port 1 ssh2 from 203.0.113.9 port 9 ssh2]",
        "203.0.113.9",
        "x] from 127.0.0.1 port 1 ssh2",
    ),
];

#[test]
fn a_user_of_ssh_cannot_name_an_address() {
    for (message, source, user) in OF_SSH {
        assert_says(&sshd(message), [source, user, "-"]);
    }
}

#[test]
fn an_object_that_a_client_of_a_daemon_writes_is_no_log_of_another_source() {
    let name = json!({
        "Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Computer": "dc1", "Image": "evil.exe",
        "UtcTime": "2020-01-01 00:00:00.000", "sourceIPAddress": "198.51.100.66",
    });
    for (program, message) in [
        ("sshd", format!("Invalid user {name} from 203.0.113.9 port 1")),
        (
            "sshd",
            format!("Failed password for {name} from 203.0.113.9 port 1 ssh2"),
        ),
        (
            "sshd-session",
            format!("Failed none for invalid user {name} from 203.0.113.9 port 1 ssh2"),
        ),
    ] {
        let log = read(&format!("Oct 11 22:14:15 web1 {program}[42]: {message}"));
        assert_eq!(log.host.as_deref(), Some("web1"), "{message}");
        assert_eq!(log.appname.as_deref(), Some(program), "{message}");
        assert_eq!(log.source_ip().as_deref(), Some("203.0.113.9"), "{message}");
        assert!(
            log.metadata["format"].as_str().unwrap().starts_with("openssh"),
            "{message}"
        );
    }
    for (program, message) in [
        ("su", format!("FAILED SU (to root) {name} on pts/1")),
        ("CRON", format!("(bob) CMD ({name})")),
        ("postfix/smtpd", format!("warning: {name}")),
        ("myapp", format!("Invalid user {name}")),
    ] {
        let log = read(&format!("Oct 11 22:14:15 web1 {program}[42]: {message}"));
        assert_eq!(log.host.as_deref(), Some("web1"), "{message}");
        assert_eq!(log.appname.as_deref(), Some(program), "{message}");
        assert_eq!(log.source_ip(), None, "{message}");
    }
    // A daemon that writes objects still does.
    let log = read(&format!(
        "Oct 11 22:14:15 web1 myapp[42]: {}",
        json!({"srcip": "203.0.113.9"})
    ));
    assert_eq!(log.source_ip().as_deref(), Some("203.0.113.9"));
}

#[test]
fn a_name_in_a_message_is_not_the_host_of_its_header() {
    for name in ["devname", "hostname", "host", "computer"] {
        let line =
            format!("Oct 11 22:14:15 web1 myapp[42]: user said {name}=fw srcip=198.51.100.6 user=root");
        assert_eq!(read(&line).host.as_deref(), Some("web1"), "{name}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_stays_empty() {
    for (message, source, user, ambiguous) in [
        // The names in a certificate are its owner's.
        (
            "Failed publickey for root from 203.0.113.9 port 9 ssh2: RSA-CERT SHA256:a ID x from 127.0.0.1 port 1 ssh2: RSA SHA256:b",
            "-",
            "-",
            "user source_ip source.port",
        ),
        (
            "Disconnecting invalid user x 203.0.113.9 port 9: Change of username or service not allowed: (x,y) -> (z 127.0.0.1 port 1: w,y) [preauth]",
            "-",
            "-",
            "user source_ip source.port",
        ),
        (
            "pam_sss(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=x rhost=127.0.0.1  user=y rhost=203.0.113.9  user=bob",
            "-",
            "-",
            "user source_ip",
        ),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=x rhost=203.0.113.9 user=y",
            "203.0.113.9",
            "-",
            "user",
        ),
    ] {
        assert_says(&sshd(message), [source, user, ambiguous]);
    }
    let log = read(
        "Oct 11 22:14:15 web1 sudo:    alice : TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND=/bin/x ; USER=bob ; COMMAND=/bin/y",
    );
    assert_says(&log, ["-", "alice", "user.effective.name process.command_line"]);
    assert_eq!(log.action(), Some("sudo"));
    assert!(!log.normalized.contains_key("user.effective.name"));
}

#[test]
fn the_fields_of_pam_are_those_of_the_program() {
    for (message, expected) in [
        (
            "pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=test rhost=127.0.0.1 rhost=203.0.113.1  user=bob",
            ["203.0.113.1", "bob", "-"],
        ),
        (
            "pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=a user=root rhost=203.0.113.1",
            ["203.0.113.1", "-", "-"],
        ),
        (
            "pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.1 user=a 127.0.0.1",
            ["203.0.113.1", "a 127.0.0.1", "-"],
        ),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host.example  user=bob",
            ["-", "bob", "-"],
        ),
        (
            "authentication failure; rhost=[::ffff:203.0.113.23]:47414 user=root@pbs msg=no rhost=127.0.0.1 user=x",
            ["203.0.113.23", "root@pbs", "-"],
        ),
    ] {
        assert_says(&read(&format!("Oct 11 22:14:15 web1 x[1]: {message}")), expected);
    }
}

#[test]
fn a_mark_counts_at_the_start_of_a_message_only() {
    for line in [
        "Oct 11 22:14:15 mx1 postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1; from=<a@b> proto=SMTP helo=<Failed password for root from 127.0.0.1 port 1 ssh2>",
        "Oct 11 22:14:15 mx1 postfix/smtpd[7]: warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: authentication failure; rhost=127.0.0.1 user=root, sasl_username=pam_unix(x:auth): authentication failure; rhost=127.0.0.1",
    ] {
        assert_says(&read(line), ["203.0.113.9", "-", "-"]);
    }
    for line in [
        "Oct 11 22:14:15 web1 app[7]: cannot find 'Accepted password for root from 127.0.0.1 port 1 ssh2'",
        "2024-01-01 10:00:00 GET /?q=x sshd[1]: Accepted password for root from 127.0.0.1 port 1 ssh2",
        "Oct 11 22:14:15 web1 app[7]: x (to root) mallory on pts/0",
    ] {
        let log = read(line);
        assert_says(&log, ["-", "-", "-"]);
        assert_eq!((log.action(), log.outcome()), (None, None), "{line}");
    }
}

#[test]
fn a_message_may_be_a_whole_line_of_syslog() {
    let inner = "Failed password for root from 203.0.113.9 port 9 ssh2";
    for line in [
        json!({"message": inner}).to_string(),
        json!({"message": format!("Oct 11 22:14:15 web1 sshd[42]: {inner}")}).to_string(),
        json!({"message": format!("sshd[42]: {inner}")}).to_string(),
        format!("Oct 11 22:14:16 192.0.2.1 Oct 11 22:14:15 web1 sshd[42]: {inner}"),
        format!("Oct 11 22:14:15 web1 sshd[42]: message repeated 3 times: [ {inner}]"),
        format!("Oct 11 22:14:15 web1 <auth.info> sshd[42]: {inner}"),
    ] {
        let log = read(&line);
        assert_says(&log, ["203.0.113.9", "root", "-"]);
        assert_eq!(log.outcome(), Some("failure"), "{line}");
    }
}

#[test]
fn what_a_client_of_nginx_says_further_on_names_no_other() {
    let start = "2015/05/17 10:05:03 [error] 7#8: *9";
    let stack = "FastCGI sent in stderr: \"PHP message: x, client: 1.2.3.4";
    for line in [
        format!("{start} {stack}"),
        format!("{start} {stack}, bytes from/to client:0/0 in /var/www/a.php:3"),
        format!(
            "{start} client login failed: \"x\" while in http auth state, client: 203.0.113.9, server: 0.0.0.0:143, \
             login: \"bob\", client: 1.2.3.4, server: 0.0.0.0:143, login: \"root\""
        ),
    ] {
        assert_eq!(read(&line).source_ip(), None, "{line}");
    }
    let line = format!(
        "{start} FastCGI sent in stderr: \"PHP message: x\" while reading response header from upstream, \
         client: 203.0.113.9, server: x, request: \"GET / HTTP/1.1\", upstream: \"fastcgi://y\", host: \"x\""
    );
    assert_eq!(read(&line).source_ip().as_deref(), Some("203.0.113.9"));
}

#[test]
fn a_quoted_part_of_a_list_of_proxies_holds_no_hop() {
    let line = |forwarded: &str| json!({"remote_addr": "10.0.0.1", "Forwarded": forwarded}).to_string();
    let log = read(&line("for=203.0.113.9;host=\"h, for=1.2.3.4\";proto=https"));
    assert_eq!(log.source_ip().as_deref(), Some("203.0.113.9"));
    let log = read(&line("for=1.2.3.4;host=\"h, for=1.2.3.4"));
    assert_ne!(log.source_ip().as_deref(), Some("1.2.3.4"));
}

#[test]
fn another_program_cannot_pass_for_a_daemon() {
    let said = "Failed password for root from 203.0.113.9 port 9 ssh2";
    for line in [
        format!("Oct 11 22:14:15 web1 webapp[42]: {said}"),
        format!("Oct 11 22:14:15 web1 webapp[42]: Oct 11 22:14:15 web1 sshd[42]: {said}"),
        format!("Oct 11 22:14:15 web1 webapp[42]: sshd[42]: {said}"),
        json!({"appname": "webapp", "message": said}).to_string(),
        json!({"appname": "webapp", "message": format!("sshd[42]: {said}")}).to_string(),
        "Oct 11 22:14:15 web1 webapp[42]: root : TTY=x ; PWD=/ ; USER=root ; COMMAND=/bin/sh".to_owned(),
        "Oct 11 22:14:15 web1 webapp[42]: Successful su for root by alice".to_owned(),
    ] {
        let log = read(&line);
        assert_eq!(
            (log.source_ip(), log.user(), log.outcome()),
            (None, None, None),
            "{line}"
        );
    }
    for program in ["sshd", "sshd-session", "/usr/sbin/sshd"] {
        let log = read(&format!("Oct 11 22:14:15 web1 {program}[42]: {said}"));
        assert_says(&log, ["203.0.113.9", "root", "-"]);
    }
}

#[test]
fn who_becomes_whom_is_read_from_the_ends() {
    for (message, user, effective) in [
        (
            "FAILED SU (to root) mallory on pts/1) alice on pts/0",
            "alice",
            "root) mallory on pts/1",
        ),
        (
            "FAILED su for root by mallory by alice",
            "alice",
            "root by mallory",
        ),
        (
            "'su x' failed for bob' failed for alice on /dev/pts/8",
            "alice",
            "x' failed for bob",
        ),
    ] {
        let log = read(&format!("Oct 11 22:14:15 web1 su[1]: {message}"));
        assert_eq!(
            (
                log.user(),
                log.normalized["user.effective.name"].as_str(),
                log.outcome()
            ),
            (Some(user), Some(effective), Some("failure"))
        );
    }
}

#[test]
fn a_client_of_nginx_cannot_name_another() {
    let start = "2014/04/03 22:20:40 [error] 30708#0: *3";
    let end = "server: test, request: \"GET / HTTP/1.1\", host: \"localhost:8443\"";
    for (line, expected) in [
        (
            format!(
                "{start} user \"test\": password mismatch, client: 127.0.0.1, {end}\": was not found in \"/x\", client: 203.0.113.2, {end}"
            ),
            ["203.0.113.2", "-", "-"],
        ),
        (
            format!(
                "{start} open() \"/x\" failed, client: 203.0.113.2, {end}, referrer: \"http://x/\", client: 127.0.0.1, server: y\""
            ),
            ["203.0.113.2", "-", "-"],
        ),
        (
            format!(
                "{start} user \"x\": y, client: 127.0.0.1, {end}, referrer: \"\": was not found in \"/x\", client: 203.0.113.2, {end}"
            ),
            ["-", "-", "source_ip"],
        ),
        (
            format!(
                "{start} client sent invalid request while reading client request line, client: 203.0.113.2, server: y, request: \"GET /\", client: 127.0.0.1, server: z\""
            ),
            ["203.0.113.2", "-", "-"],
        ),
        (
            format!(
                "{start} open() \"/x\" failed, client: 203.0.113.2, server: z, request: \"GET /a\", host: \"x HTTP/1.1\", host: \"h\""
            ),
            ["203.0.113.2", "-", "-"],
        ),
        (
            format!("{start} open() failed, client: unix:, server: y"),
            ["-", "-", "-"],
        ),
    ] {
        assert_says(&read(&line), expected);
    }
}

#[test]
fn a_client_of_apache_cannot_name_another() {
    for (line, expected) in [
        (
            "[Wed Oct 11 14:32:52 2023] [core:error] [pid 35] [client 203.0.113.9:80] [client 127.0.0.1:1] x",
            "203.0.113.9",
        ),
        (
            "[Wed Oct 11 14:32:52 2023] [core:error] [pid 35] [client 2001:db8::1:8080] x",
            "2001:db8::1",
        ),
        (
            "[Wed Oct 11 14:32:52 2023] [error] [client 203.0.113.9] user [client 127.0.0.1] not found",
            "203.0.113.9",
        ),
    ] {
        assert_eq!(read(line).source_ip().as_deref(), Some(expected), "{line}");
    }
}

#[test]
fn the_fields_of_an_access_log_are_read_around_the_name_of_the_user() {
    let end = "[03/May/2022:09:02:57 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl\"";
    for (start, expected) in [
        ("203.0.113.44 - -", ["203.0.113.44", "-", "-"]),
        ("203.0.113.44:60162 - bob", ["203.0.113.44", "bob", "-"]),
        (
            "::ffff:203.0.113.44 - user name",
            ["203.0.113.44", "user name", "-"],
        ),
        ("203.0.113.44, 10.0.0.1 - bob", ["203.0.113.44", "bob", "-"]),
        (
            "127.0.0.1, 203.0.113.44, 10.0.0.1 - bob",
            ["203.0.113.44", "bob", "-"],
        ),
        (
            "203.0.113.44 - x [01/Jan/2022:00:00:00 +0000] y",
            ["203.0.113.44", "x [01/Jan/2022:00:00:00 +0000] y", "-"],
        ),
        ("www.example:80 203.0.113.44 - a b", ["203.0.113.44", "a b", "-"]),
        ("host.example - 127.0.0.1 -", ["-", "127.0.0.1 -", "-"]),
        ("1.1.1.1 - admin, 203.0.113.44 - -", ["-", "-", "source_ip user"]),
        (
            "203.0.113.44 - x\\\" 127.0.0.1",
            ["203.0.113.44", "x\\\" 127.0.0.1", "-"],
        ),
    ] {
        assert_says(&read(&format!("{start} {end}")), expected);
    }
    let behind = read(&format!("10.0.0.7 - - {end} \"127.0.0.1, 203.0.113.44\""));
    assert_says(&behind, ["203.0.113.44", "-", "-"]);
    assert_eq!(behind.normalized["source.address"], "10.0.0.7");
}

#[test]
fn a_request_with_quotes_does_not_choose_its_status() {
    let start = "203.0.113.44 - - [03/May/2022:09:02:57 +0000]";
    let log = read(&format!(
        "{start} \"GET /a\" 200 5 \"x HTTP/1.1\" 403 12 \"-\" \"curl\""
    ));
    assert_says(&log, ["203.0.113.44", "-", "outcome url.original http"]);
    assert_eq!(log.outcome(), None);
    let escaped = read(&format!(
        "{start} \"GET /a HTTP/1.1\" 403 5 \"x\\\" HTTP/1.1\\\" 200 5\" \"y\\\" HTTP/1.1\\\" 200 5\""
    ));
    assert_says(&escaped, ["203.0.113.44", "-", "-"]);
    assert_eq!(escaped.outcome(), Some("failure"));
}

#[test]
fn a_line_does_not_say_what_the_program_says() {
    let text = "{\"time\": \"2024-01-01T00:00:00Z\", \"msg\": \"m\", \"id\": \"i\", \"seq\": 7, \"raw\": \"r\",
        \"ingestion_time\": \"2001-01-01T00:00:00Z\", \"file\": \"/var/log/auth.log\",
        \"parse_error\": \"p\", \"time_source\": \"t\", \"raw_base64\": \"eA==\", \"ambiguous\": [\"user\"],
        \"metadata\": {\"parse_error\": \"p\", \"time_source\": \"t\", \"raw_base64\": \"eA==\", \"level\": \"error\",
        \"fields\": {\"user\": \"forged\"}, \"format\": \"f/1\", \"logsource\": {\"product\": \"p\"}}}";
    let line = text.replace('\n', "");
    let log = read(&line);
    assert!(log.metadata.is_empty(), "{:?}", log.metadata);
    assert_eq!(log.raw.as_deref(), Some(line.as_str()));
    assert_eq!(log.raw_bytes().unwrap(), line.as_bytes());
    assert_eq!(
        (log.file.as_deref(), log.source_type.as_deref()),
        (None, Some("json"))
    );
    assert_eq!((log.level(), log.user(), log.format()), (Some("err"), None, None));
    assert!(log.ingestion_time.timestamp() > 1_700_000_000);
    let said: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(Value::from(log.normalized), said);
    let log = read("{\"src_ip\": \"203.0.113.9\", \"metadata\": {\"source_ip\": \"127.0.0.1\"}}");
    assert_eq!(log.source_ip().as_deref(), Some("203.0.113.9"));
}

#[test]
fn a_stored_log_survives_json() {
    let log = read("caf\u{e9} {").clone();
    let log = LogEntry::new(log.event_time).with_raw(b"caf\xe9");
    let mut log = log.with_field("user", "alice");
    log.metadata.insert(PARSE_ERROR.into(), json!("why"));
    log.metadata.insert(TIME_SOURCE.into(), json!("ingestion"));
    log.file = Some("a.log".into());
    log.source_type = Some("text".into());
    let text = serde_json::to_string(&log).unwrap();
    assert_eq!(serde_json::from_str::<LogEntry>(&text).unwrap(), log);
}

/// Programs, what they write of a login, and the outcome that it says.
const OF_LOGINS: &[(&str, &str, Option<&str>)] = &[
    (
        "sshd[1]",
        "Accepted password for bob from 203.0.113.9 port 9 ssh2",
        Some("success"),
    ),
    (
        "sshd[1]",
        "Failed password for bob from 203.0.113.9 port 9 ssh2",
        Some("failure"),
    ),
    (
        "sshd[1]",
        "Failed none for invalid user bob from 203.0.113.9 port 9 ssh2",
        None,
    ),
    ("sshd[1]", "Invalid user bob from 203.0.113.9 port 9", None),
    (
        "sshd[1]",
        "input_userauth_request: invalid user bob [preauth]",
        None,
    ),
    ("sshd[1]", "pam_unix(sshd:auth): check pass; user unknown", None),
    (
        "sshd[1]",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=bob",
        None,
    ),
    (
        "sshd[1]",
        "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9",
        None,
    ),
    (
        "sshd[1]",
        "error: PAM: Authentication failure for bob from 203.0.113.9",
        None,
    ),
    (
        "sshd[1]",
        "error: maximum authentication attempts exceeded for bob from 203.0.113.9 port 9 ssh2 [preauth]",
        None,
    ),
    (
        "sshd[1]",
        "Disconnected from authenticating user bob 203.0.113.9 port 9 [preauth]",
        None,
    ),
    (
        "sshd[1]",
        "pam_unix(sshd:session): session opened for user bob by (uid=0)",
        None,
    ),
    (
        "sshd(pam_unix)[1]",
        "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.9",
        None,
    ),
    (
        "su[1]",
        "pam_unix(su:auth): authentication failure; logname=bob uid=1 euid=0 tty=pts/0 ruser=bob rhost=  user=root",
        None,
    ),
    (
        "su(pam_unix)[1]",
        "authentication failure; logname=bob uid=1 euid=0 tty= ruser=bob rhost=  user=root",
        Some("failure"),
    ),
    (
        "su(pam_unix)[1]",
        "session opened for user root by bob(uid=1)",
        Some("success"),
    ),
    (
        "sudo",
        "pam_unix(sudo:auth): authentication failure; logname=bob uid=1 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob",
        None,
    ),
    (
        "sudo",
        "bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        Some("failure"),
    ),
    (
        "sudo",
        "bob : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        Some("failure"),
    ),
    (
        "sudo",
        "bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        Some("success"),
    ),
    (
        "login[1]",
        "pam_unix(login:auth): authentication failure; logname= uid=0 euid=0 tty=tty1 ruser= rhost=  user=root",
        Some("failure"),
    ),
    (
        "CRON[1]",
        "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
        Some("success"),
    ),
    (
        "CRON[1]",
        "pam_unix(cron:session): session closed for user root",
        None,
    ),
];

#[test]
fn one_attempt_to_log_in_has_one_outcome() {
    for (program, message, outcome) in OF_LOGINS {
        let log = read(&format!("Oct 11 22:14:15 web1 {program}: {message}"));
        assert_eq!(log.outcome(), *outcome, "{program}: {message}");
        assert!(log.action().is_some(), "{program}: {message}");
    }
}

#[test]
fn stores_hold_the_addresses_that_logs_say() {
    let logs: Vec<LogEntry> = [
        "203.0.113.4:49713",
        "[2001:DB8::1]:443",
        "unknown",
        "::ffff:203.0.113.4",
        "1.1.1.1, 203.0.113.5, 10.0.0.1",
    ]
    .into_iter()
    .map(|source| {
        LogEntry::new(chrono::DateTime::UNIX_EPOCH)
            .with_id(source)
            .with_field("src_ip", source)
    })
    .collect();
    let memory = MemoryStore::default();
    memory.append_logs(&logs).unwrap();
    let duckdb = DuckDbStore::open(":memory:").unwrap();
    duckdb.append_logs(&logs).unwrap();
    for (address, count) in [
        ("203.0.113.4", 2),
        ("2001:db8::1", 1),
        ("203.0.113.5", 1),
        ("unknown", 0),
    ] {
        let query = LogQuery::new().equals("source_ip", address).unwrap();
        assert_eq!(memory.count_logs(&query).unwrap(), count, "{address}");
        assert_eq!(duckdb.count_logs(&query).unwrap(), count, "{address}");
    }
    let found = duckdb.fetch_logs(&LogQuery::new()).unwrap();
    for log in found {
        assert_eq!(log.normalized["src_ip"], log.id);
    }
}

#[test]
fn proxies_are_those_that_the_settings_name() {
    let cli = Cli::new();
    cli.write(
        "access.jsonl",
        "{\"time\": \"2024-01-01T00:00:00Z\", \"remote_addr\": \"198.51.100.1\", \"x_forwarded_for\": \"10.1.1.1, 198.51.100.2\"}\n",
    );
    cli.write(
        "access.log",
        "10.1.1.1, 198.51.100.2 - - [01/Jan/2024:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\"\n",
    );
    let sources = |cli: &Cli| {
        let rows = cli.rows(&[
            "query",
            "SELECT source_ip FROM logs ORDER BY seq",
            "--format",
            "jsonl",
        ]);
        rows.into_iter()
            .map(|row| row["source_ip"].clone())
            .collect::<Vec<_>>()
    };
    cli.output(&["ingest", "access.jsonl", "access.log"]);
    assert_eq!(sources(&cli), ["198.51.100.1", "198.51.100.2"]);
    let other = Cli::new();
    for name in ["access.jsonl", "access.log"] {
        std::fs::copy(cli.path(name), other.path(name)).unwrap();
    }
    other.write(
        "logstore.toml",
        "[ingest]\ntrusted_proxies = [\"198.51.100.0/24\"]\n",
    );
    other.output(&["ingest", "access.jsonl", "access.log"]);
    assert_eq!(sources(&other), ["10.1.1.1", "10.1.1.1"]);
    let rows = other.rows(&["fetch", "--format", "jsonl", "--order", "oldest"]);
    assert_eq!(rows[0]["normalized"]["remote_addr"], "198.51.100.1");
    assert_eq!(rows[0]["metadata"], json!({"source_ip": "10.1.1.1"}));
    other.write(
        "logstore.toml",
        "[ingest]\ntrusted_proxies = [\"198.51.100.1\"]\n",
    );
    let shown = other.output(&["config", "get", "ingest.trusted_proxies"]);
    assert!(shown.contains("198.51.100.1/32"), "{shown}");
    other.write("logstore.toml", "[ingest]\ntrusted_proxies = [\"gateway\"]\n");
    let (code, error) = other.failure(&["config", "show"]);
    assert_eq!(code, 3);
    assert!(
        error.contains("trusted_proxies") && error.contains("10.0.0.0/8"),
        "{error}"
    );
}
