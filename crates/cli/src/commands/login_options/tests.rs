//! What the login options of the command line become.

use clap::Parser;

use super::*;
use crate::args::{AskCommand, Cli, Command};

/// The options of `hawser login iqn.… WORDS`.
fn options(words: &[&str]) -> Result<Option<LoginOptions>, String> {
    let login = ["hawser", "login", "iqn.2026-01.example:a"];
    let cli = Cli::try_parse_from(login.iter().chain(words)).map_err(|error| error.to_string())?;
    let Command::Ask(AskCommand::Login(args)) = cli.command else {
        return Err("no login".to_owned());
    };
    from_args(&args.options).map_err(|error| error.report("hawser"))
}

fn secret_file(directory: &tempfile::TempDir, secret: &str) -> String {
    let path = directory.path().join(secret);
    std::fs::write(&path, format!("{secret}\n")).expect("written");
    path.display().to_string()
}

#[test]
fn nothing_said_is_no_options() {
    assert_eq!(options(&[]), Ok(None));
}

#[test]
fn digests_and_what_becomes_of_held_io() {
    let words = [
        "--header-digest",
        "crc32c",
        "--data-digest",
        "none",
        "--on-lost",
        "fail",
    ];
    let options = options(&words).expect("reads").expect("some");
    assert_eq!(options.header_digest(), Digest::Crc32c);
    assert_eq!(options.data_digest, Some(Digest::None.into()));
    assert_eq!(options.on_lost(), OnLost::Fail);
    assert_eq!(options.auth_type, None);
    assert_eq!(summary(Some(&options), None), "header crc32c");
    let initiator = from_source("2001:db8::7".parse().expect("is one"));
    let text = summary(Some(&options), Some(&initiator));
    assert_eq!(text, "header crc32c, from 2001:db8::7");
    assert_eq!(summary(None, Some(&initiator)), "from 2001:db8::7");
}

#[test]
fn chap_takes_the_secret_from_a_file() {
    let directory = tempfile::tempdir().expect("temp dir");
    let file = secret_file(&directory, "twelve-bytes");
    let options = options(&["--chap-user", "u", "--chap-secret-file", &file]);
    let options = options.expect("reads").expect("some");
    assert_eq!(options.auth_type(), AuthType::Chap);
    assert_eq!(options.username.as_deref(), Some(&b"u"[..]));
    assert_eq!(
        options.secret.as_ref().map(Secret::expose),
        Some(&b"twelve-bytes"[..])
    );
    assert!(options.mutual_secret.is_none());
}

#[test]
fn mutual_chap_may_have_a_secret_of_its_own() {
    let directory = tempfile::tempdir().expect("temp dir");
    let (file, other) = (
        secret_file(&directory, "twelve-bytes"),
        secret_file(&directory, "other"),
    );
    let chap = ["--chap-secret-file", &file, "--mutual"];
    let plain = options(&chap).expect("reads").expect("some");
    assert_eq!(plain.auth_type(), AuthType::MutualChap);
    assert!(plain.mutual_secret.is_none(), "the initiator's own counts");
    let with = ["--mutual-user", "t", "--mutual-secret-file", &other];
    let own = options(&[&chap[..], &with].concat())
        .expect("reads")
        .expect("some");
    assert_eq!(
        own.mutual_secret.as_ref().map(Secret::expose),
        Some(&b"other"[..])
    );
    assert_eq!(own.mutual_username.as_deref(), Some(&b"t"[..]));
}

#[test]
fn half_of_chap_is_refused_with_advice() {
    let user = options(&["--chap-user", "u"]).expect_err("no secret");
    assert!(user.contains("HAWSER_CHAP_SECRET"), "{user}");
    let mutual = options(&["--mutual"]).expect_err("no secret");
    assert!(mutual.contains("--chap-secret-file"), "{mutual}");
    assert!(options(&["--mutual-user", "t"]).is_err());
}
