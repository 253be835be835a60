//! What a user names is read as far as it can be read, and what is left out is said.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::exactly_once::{Following, append, assert_lines, ingest, lines, wait_for};
use crate::rotation::wait_for_error;
use crate::support::Cli;

/// The exit code, the summary and standard error of an ingest.
fn outcome(cli: &Cli, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = cli.command(&[&["ingest"], arguments].concat()).output().unwrap();
    let summary = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (
        output.status.code(),
        summary,
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn counts(summary: &Value) -> [&Value; 4] {
    ["stored", "sources", "skipped_sources", "failed_sources"].map(|name| &summary[name])
}

/// How many logs came from each file.
fn files(cli: &Cli) -> Vec<(String, u64)> {
    let rows = cli.rows(&[
        "query",
        "SELECT file, count(*) AS n FROM logs GROUP BY file ORDER BY file",
    ]);
    rows.iter()
        .map(|row| {
            (
                row["file"].as_str().unwrap().to_owned(),
                row["n"].as_u64().unwrap(),
            )
        })
        .collect()
}

/// A zip archive of these members, deflated or stored.
pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    use rawzip::{CompressionMethod, ZipArchiveWriter};
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (index, (name, content)) in members.iter().enumerate() {
        let method = [CompressionMethod::DEFLATE, CompressionMethod::STORE][index % 2];
        let (mut entry, config) = archive.new_file(name).compression_method(method).start().unwrap();
        let descriptor = if method == CompressionMethod::STORE {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(content).unwrap();
            writer.finish().unwrap().1
        } else {
            let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default());
            let mut writer = config.wrap(encoder);
            writer.write_all(content).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap()
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0";

#[test]
#[cfg(unix)]
fn a_link_that_leads_nowhere_does_not_keep_a_folder_from_being_read() {
    use std::os::unix::fs::symlink;
    let cli = Cli::new();
    cli.write("logs/a.log", lines(0..3));
    cli.write("logs/z/z.log", lines(3..6));
    symlink("nowhere", cli.path("logs/dangling.log")).unwrap();
    symlink("itself", cli.path("logs/itself")).unwrap();
    symlink("..", cli.path("logs/z/back")).unwrap();
    let (code, summary, errors) = outcome(&cli, &["logs"]);
    assert_eq!(code, Some(3), "{errors}");
    assert_eq!(counts(&summary), [&json!(6), &json!(4), &json!(1), &json!(2)]);
    for words in [
        "dangling.log\": the symbolic link leads to nothing",
        "itself\":",
        "back\": the symbolic link leads back",
    ] {
        assert_eq!(errors.matches(words).count(), 1, "{errors}");
    }
    fs::remove_file(cli.path("logs/dangling.log")).unwrap();
    fs::remove_file(cli.path("logs/itself")).unwrap();
    assert_eq!(outcome(&cli, &["logs"]).0, Some(0));
    assert_lines(&cli, 6);
}

#[test]
#[cfg(unix)]
fn a_folder_that_may_not_be_read_does_not_keep_others_from_being_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let cli = Cli::new();
    cli.write("logs/a.log", lines(0..3));
    cli.write("logs/secret/b.log", "no\n");
    cli.write("logs/z.log", lines(3..6));
    fs::set_permissions(cli.path("logs/secret"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(cli.path("logs/secret")).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    let (code, summary, errors) = outcome(&cli, &["logs"]);
    fs::set_permissions(cli.path("logs/secret"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((code, &summary["stored"]), (Some(3), &json!(6)), "{errors}");
    assert!(errors.contains("logs/secret"), "{errors}");
}

#[test]
fn what_is_not_there_does_not_keep_others_from_being_read() {
    let cli = Cli::new();
    cli.write("a.log", lines(0..3));
    let (code, summary, errors) = outcome(&cli, &["nosuch.log", "a.log", "no*such"]);
    assert_eq!(code, Some(3));
    assert_eq!(counts(&summary), [&json!(3), &json!(3), &json!(0), &json!(2)]);
    for name in [
        "\"nosuch.log\": no such file",
        "\"no*such\": no such file",
        "2 of 3 sources",
    ] {
        assert_eq!(errors.matches(name).count(), 1, "{errors}");
    }
    // Where there is nothing at all, no store is made.
    let other = Cli::new();
    let (code, _, errors) = outcome(&other, &["nosuch.log", "nor.log"]);
    assert!(
        code == Some(3) && errors.contains("nosuch.log") && errors.contains("nor.log"),
        "{errors}"
    );
    assert!(!other.path("logstore.duckdb").exists());
}

#[test]
fn what_is_no_text_is_left_out_of_a_folder() {
    let cli = Cli::new();
    cli.write("logs/app.log", lines(0..3));
    cli.write("logs/program", ELF);
    cli.write(
        "logs/rows.parquet",
        b"PAR1\x15\x04\x15\x10\x15\x14\x4c\x15\x02\0PAR1",
    );
    cli.write("logs/image.png.gz", gzip(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"));
    let (code, summary, errors) = outcome(&cli, &["logs"]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(counts(&summary), [&json!(3), &json!(1), &json!(3), &json!(0)]);
    for format in [
        "program\": no text, but an ELF program",
        "a Parquet file",
        "a PNG image",
    ] {
        assert_eq!(errors.matches(format).count(), 1, "{errors}");
    }
    // One that is named, or matches a pattern together with others.
    let (code, summary, errors) = outcome(&cli, &["logs/program"]);
    assert_eq!(
        (code, &summary["failed_sources"]),
        (Some(3), &json!(1)),
        "{errors}"
    );
    assert_eq!(outcome(&cli, &["logs/p*"]).0, Some(0));
    // One that is said to be text, or that is piped in.
    let (code, summary, _) = outcome(&cli, &["--input-format", "text", "logs/program"]);
    assert_eq!((code, &summary["stored"]), (Some(0), &json!(1)));
    let output = cli.command(&["ingest", "-"]).write_stdin(ELF).output().unwrap();
    assert!(output.status.success());
    assert_eq!(cli.rows(&["count"])[0]["count"], 5);
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn text_is_kept_whatever_its_encoding() {
    let cli = Cli::new();
    let utf16: Vec<u8> = "\u{feff}2024 caf\u{e9}\n"
        .repeat(50)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    cli.write("logs/utf16.log", utf16);
    cli.write("logs/latin1.log", b"caf\xe9 \xfcber\n".repeat(50));
    cli.write(
        "logs/nuls.log",
        [vec![0; 20_000], lines(0..2).into_bytes()].concat(),
    );
    cli.write("logs/only_nuls.log", vec![0; 100]);
    cli.write("logs/colours.log", "\u{1b}[31mred\u{1b}[0m\n".repeat(50));
    let (code, summary, errors) = outcome(&cli, &["logs"]);
    assert_eq!(
        (code, &summary["skipped_sources"]),
        (Some(0), &json!(0)),
        "{errors}"
    );
    // A file of nothing but NULs is read, and has no line.
    assert_eq!(files(&cli).len(), 4);
}

#[test]
fn compressed_files_are_opened() {
    let cli = Cli::new();
    cli.write(
        "logs/a.xz",
        [xz(lines(0..20).as_bytes()), xz(lines(20..40).as_bytes())].concat(),
    );
    cli.write(
        "logs/b.bz2",
        [bzip2(lines(40..60).as_bytes()), bzip2(lines(60..80).as_bytes())].concat(),
    );
    cli.write("logs/c.log", "BZh is how this text begins\n");
    assert_eq!(ingest(&cli, &["logs"]), 81);
    assert_eq!(ingest(&cli, &["logs"]), 0);
    // Known again as they are.
    cli.write("more/a.log", lines(0..41));
    assert_eq!(ingest(&cli, &["more"]), 1);
    // A damaged one is said to be, after what could be read.
    let damaged = xz(lines(100..30_000).as_bytes());
    cli.write("cut.xz", &damaged[..damaged.len() / 2]);
    let (code, summary, errors) = outcome(&cli, &["cut.xz"]);
    assert!(
        code == Some(3) && summary["stored"].as_u64() > Some(100),
        "{errors}"
    );
}

#[test]
fn what_only_begins_like_a_compressed_file_is_no_silent_loss() {
    let cli = Cli::new();
    cli.write("odd.log", b"\x1f\x8b\x08 and then text\nmore\n".repeat(100));
    let (code, text) = cli.failure(&["ingest", "odd.log"]);
    assert!(code == 3 && text.contains("odd.log"), "{text}");
}

#[test]
fn a_zip_archive_is_a_folder_of_files() {
    let cli = Cli::new();
    let (a, b, c) = (lines(0..30), gzip(lines(30..60).as_bytes()), lines(60..61));
    let members: [(&str, &[u8]); 5] = [
        ("a.log", a.as_bytes()),
        ("nested/b.log.gz", &b),
        ("program", ELF),
        ("../../c.log", c.as_bytes()),
        ("empty.log", b""),
    ];
    let archive = zip(&members);
    cli.write("logs/logs.zip", &archive);
    let (code, summary, errors) = outcome(&cli, &["logs"]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(counts(&summary), [&json!(61), &json!(4), &json!(1), &json!(0)]);
    assert!(
        errors.contains("logs/logs.zip/program\": no text, but an ELF program"),
        "{errors}"
    );
    assert_lines(&cli, 61);
    assert_eq!(ingest(&cli, &["logs/logs.zip"]), 0);
    // What was in it is known, and so is one that is as short as any.
    cli.write("out/a.log", lines(0..31));
    assert_eq!(ingest(&cli, &["out/a.log"]), 1);
    cli.write("out/c.log", lines(60..61));
    assert_eq!(
        ingest(&cli, &["out/c.log"]),
        1,
        "too short to be known again while the other is there"
    );
    // A broken one is an error, and so is a member that is not what its archive says.
    cli.write("cut.zip", &archive[..archive.len() / 2]);
    let (code, _, errors) = outcome(&cli, &["cut.zip"]);
    assert!(
        code == Some(3) && errors.contains("not a whole zip archive"),
        "{errors}"
    );
    let mut damaged = zip(&[("x", b""), ("stored.log", lines(70..71).as_bytes())]);
    let byte = damaged.windows(4).position(|bytes| bytes == b"line").unwrap();
    damaged[byte] = b'L';
    cli.write("damaged.zip", damaged);
    let (code, _, errors) = outcome(&cli, &["damaged.zip"]);
    assert!(code == Some(3) && errors.contains("checksum"), "{errors}");
}

#[test]
fn a_file_that_was_cut_is_not_read_again() {
    for (count, left) in [(1_000, 40_000), (1_000, 300), (8, 300), (1_000, 1_024)] {
        let cli = Cli::new();
        let path = cli.write("app.log", lines(0..count));
        assert_eq!(ingest(&cli, &["app.log"]), u64::from(count));
        let was = fs::metadata(&path).unwrap().len();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(left)
            .unwrap();
        let (code, summary, errors) = outcome(&cli, &["app.log"]);
        assert_eq!((code, &summary["stored"]), (Some(0), &json!(0)), "{errors}");
        let words = format!("cut from {was} bytes to {left}");
        assert!(errors.contains(&words), "{errors}");
        append(&path, &format!("\n{}", lines(count..count + 5)));
        let (_, summary, errors) = outcome(&cli, &["app.log"]);
        assert_eq!(
            (&summary["stored"], errors.as_str()),
            (&json!(5), ""),
            "{count} {left}"
        );
        assert_lines(&cli, count + 5);
        assert!(
            cli.rows(&["check"])
                .iter()
                .all(|row| row["problems"] == json!([]))
        );
        // Emptied and written anew, it is another one.
        fs::write(&path, lines(count + 5..count + 8)).unwrap();
        assert_eq!(ingest(&cli, &["app.log"]), 3);
        assert_lines(&cli, count + 8);
    }
}

#[test]
fn a_followed_file_that_was_cut_is_not_read_again() {
    let cli = Cli::new();
    let path = cli.write("app.log", lines(0..100));
    let following = Following::start(&cli, &["app.log"]);
    wait_for(&cli, 100);
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(4_000)
        .unwrap();
    wait_for_error(&cli, "bytes to 4000");
    append(&path, &format!("\n{}", lines(100..110)));
    wait_for(&cli, 110);
    following.stop();
    assert_lines(&cli, 110);
}

#[test]
fn a_file_that_a_known_one_begins_with_is_known() {
    let cli = Cli::new();
    cli.write("app.log", lines(0..100));
    assert_eq!(ingest(&cli, &["app.log"]), 100);
    cli.write("backup/old.log", lines(0..60));
    let (_, summary, _) = outcome(&cli, &["backup"]);
    assert_eq!(
        (&summary["stored"], &summary["known_sources"]),
        (&json!(0), &json!(1))
    );
    // It is another one from the first byte on that differs.
    cli.write("backup/other.log", lines(0..60).replace("app[59]", "app[60]"));
    assert_eq!(ingest(&cli, &["backup/other.log"]), 60);
}

#[test]
fn what_does_not_exist_yet_is_waited_for() {
    let cli = Cli::new();
    let following = Following::start(&cli, &["app.log", "logs/*.log", "folder"]);
    for name in ["\"app.log\"", "\"logs/*.log\"", "\"folder\""] {
        let errors = wait_for_error(&cli, &format!("{name}: there is nothing to follow yet"));
        assert_eq!(errors.matches(name).count(), 1);
    }
    cli.write("app.log", lines(0..3));
    cli.write("logs/a.log", lines(3..6));
    cli.write("folder/a.log", lines(6..9));
    wait_for(&cli, 9);
    following.stop();
    assert_lines(&cli, 9);
    let (code, errors) = cli.failure(&["ingest", "--follow", "logs/[.log"]);
    assert!(code == 3 && errors.contains("logs/[.log"), "{errors}");
}

#[test]
#[cfg(unix)]
fn more_files_are_read_than_may_be_open() {
    const FILES: u32 = 300;
    let cli = Cli::new();
    let line = |n: u32| lines(n..n + 1);
    for n in 0..FILES {
        cli.write(&format!("logs/{n}.log"), line(n));
    }
    let run = |arguments: &str| {
        let program = assert_cmd::cargo::cargo_bin!("logstore");
        let script = format!("ulimit -n 128; exec {} {arguments}", program.display());
        let mut shell = cli.other_program("bash");
        shell.args(["-c", &script]);
        shell.stdout(std::process::Stdio::null());
        shell.stderr(File::create(cli.path("errors")).unwrap());
        shell.spawn().unwrap()
    };
    assert!(run("-d other.duckdb ingest logs").wait().unwrap().success());
    assert_eq!(cli.rows(&["-d", "other.duckdb", "count"])[0]["count"], FILES);
    cli.write("empty.log", "");
    cli.output(&["ingest", "empty.log"]);
    let following = Following(run("ingest --follow --interval 100ms logs"));
    wait_for(&cli, FILES.into());
    for n in 0..FILES {
        append(&cli.path(&format!("logs/{n}.log")), &line(FILES + n));
    }
    wait_for(&cli, u64::from(2 * FILES));
    // One that is renamed while it is not open is known again.
    fs::rename(cli.path("logs/7.log"), cli.path("logs/7.log.1")).unwrap();
    append(&cli.path("logs/7.log.1"), &line(2 * FILES));
    append(&cli.path("logs/7.log"), &line(2 * FILES + 1));
    wait_for(&cli, u64::from(2 * FILES + 2));
    following.end();
    assert_eq!(fs::read_to_string(cli.path("errors")).unwrap(), "");
    assert_lines(&cli, 2 * FILES + 2);
}

#[test]
fn logs_without_a_time_are_counted_by_source() {
    let cli = Cli::new();
    cli.write("timed.log", lines(0..3));
    for n in 0..7 {
        cli.write(&format!("{n}.log"), "no time\n".repeat(n + 1));
    }
    let (code, summary, errors) = outcome(&cli, &["timed.log", "?.log"]);
    assert_eq!((code, &summary["without_time"]), (Some(0), &json!(28)));
    let expected = "28 logs have no time of their own: \"6.log\" (7), \"5.log\" (6), \"4.log\" (5), \"3.log\" (4), \"2.log\" (3), and 2 more";
    assert!(errors.contains(expected), "{errors}");
    assert_eq!(outcome(&cli, &["timed.log"]).2, "");
}

#[test]
fn the_log_says_what_becomes_of_files() {
    let cli = Cli::new();
    let log = cli.write("logs/app.log", lines(0..30));
    cli.write("logs/program", ELF);
    let said = |level: &str| outcome(&cli, &["--log-level", level, "logs"]).2;
    let info = said("info");
    for words in [
        "app.log: new, read from its beginning",
        "app.log: read to its end",
        "program\": no text",
    ] {
        assert_eq!(info.matches(words).count(), 1, "{info}");
    }
    append(&log, &lines(30..31));
    let debug = said("debug");
    for words in [
        "app.log: known, read on from byte",
        "stored a batch: 1 logs of 1 files",
        "for the lock",
    ] {
        assert_eq!(debug.matches(words).count(), 1, "{debug}");
    }
    let output = cli
        .command(&["ingest", "--log-level", "debug", "--log-format", "json", "logs"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let known = text.lines().find(|line| line.contains("known, read on")).unwrap();
    let known: Value = serde_json::from_str(known).unwrap();
    assert!(
        Path::new(known["path"].as_str().unwrap()).is_absolute(),
        "{known}"
    );
}
