//! Warns when one CHAP secret is used for several targets (RFC 7143 §9.2.1): whoever has it at one of
//! them can pass for us, or for the target it proves, at the others. It is allowed, so nothing is
//! refused, and what the secret is is never told.

use std::collections::{BTreeMap, BTreeSet};

use hawser_api::{Failure, Status};
use hawser_store::{AuthType, LoginOptions, PersistentLogin, Secret};

use crate::daemon::Daemon;
use crate::events::News;
use crate::{discovery, security};

/// Kind of the event.
const KIND: &str = "chap-secret-shared";
/// Targets that one warning names; the others are counted.
const MAX_NAMED: usize = 4;
/// What to do about it.
const ADVICE: &str = "give each target secrets of its own: `hawser chap-secret generate` makes them, \
                      --chap-secret-file and --mutual-secret-file take them";

/// The targets whose secrets are known, each with all of them.
type Secrets = BTreeMap<String, Vec<Secret>>;

/// Looks whether a secret of a login is used for other targets too; tells and gives the warning.
pub(crate) fn warn(daemon: &Daemon, target: &str, options: &LoginOptions) -> Option<Failure> {
    let own = initiators_own(daemon);
    let mine = secrets_of(options, own.as_ref());
    let all = in_use(daemon, own.as_ref());
    let others = others_with(&mine, target, &all);
    let warning = warning(target, &others)?;
    daemon.events.tell(News::warning(KIND, warning.clone()));
    Some(warning)
}

/// Tells once of each secret that several of the stored logins use.
pub(crate) fn warn_of_stored(daemon: &Daemon) {
    let all = in_use(daemon, initiators_own(daemon).as_ref());
    for (target, mine) in &all {
        let others = others_with(mine, target, &all);
        // The first by name speaks for all that share it.
        if others.iter().all(|other| *other > target.as_str())
            && let Some(warning) = warning(target, &others)
        {
            daemon.events.tell(News::warning(KIND, warning));
        }
    }
}

/// The secret that targets must prove where a login has none of its own.
fn initiators_own(daemon: &Daemon) -> Option<Secret> {
    // A damaged one is told of where a login needs it.
    security::chap_secret(&daemon.records).ok().flatten()
}

/// The secrets of all targets that are stored, known by hand, or logged in to.
fn in_use(daemon: &Daemon, own: Option<&Secret>) -> Secrets {
    let mut all = Secrets::new();
    let mut add = |target: &str, options: &LoginOptions| {
        let found = secrets_of(options, own);
        if !found.is_empty() {
            all.entry(target.to_owned()).or_default().extend(found);
        }
    };
    for login in daemon.records.all::<PersistentLogin>() {
        if let Some(options) = &login.login_options {
            add(&login.target_name, options);
        }
    }
    for (target, _) in discovery::static_targets(daemon) {
        if let Some(options) = &target.login_options {
            add(&target.target_name, options);
        }
    }
    for entry in daemon.sessions.all() {
        if let Some(options) = &entry.origin.asked {
            add(&entry.origin.target, options);
        }
    }
    all
}

/// The secrets that a login with these options uses, both ways.
fn secrets_of(options: &LoginOptions, own: Option<&Secret>) -> Vec<Secret> {
    let proves_target = options.auth_type == Some(AuthType::MutualChap);
    let mutual = options.mutual_secret.as_ref().or(own);
    let ours = options.secret.iter();
    let ours = ours.filter(|secret| !secret.expose().is_empty());
    let used = ours.chain(mutual.filter(|_| proves_target));
    used.filter(|_| options.auth_type != Some(AuthType::None))
        .cloned()
        .collect()
}

/// The targets besides `target` that have one of `mine`. Secrets are compared in constant time.
fn others_with<'a>(mine: &[Secret], target: &str, all: &'a Secrets) -> BTreeSet<&'a str> {
    let shares = |theirs: &[Secret]| theirs.iter().any(|secret| mine.contains(secret));
    all.iter()
        .filter(|(name, theirs)| *name != target && shares(theirs))
        .map(|(name, _)| name.as_str())
        .collect()
}

/// The warning, unless there is nobody else.
fn warning(target: &str, others: &BTreeSet<&str>) -> Option<Failure> {
    if others.is_empty() {
        return None;
    }
    let named: Vec<&str> = others.iter().copied().take(MAX_NAMED).collect();
    let more = match others.len() - named.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let message = format!(
        "a CHAP secret for {target} is also used for {}{more}: whoever knows it from one of them can \
         use it at the others",
        named.join(", ")
    );
    let failure = Failure::new(Status::ERROR_SUCCESS, message);
    Some(failure.with_target(target).with_advice(ADVICE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(auth: Option<AuthType>, secret: &str, mutual: Option<&str>) -> LoginOptions {
        LoginOptions {
            auth_type: auth,
            secret: Some(Secret::new(secret.as_bytes())),
            mutual_secret: mutual.map(|mutual| Secret::new(mutual.as_bytes())),
            ..LoginOptions::default()
        }
    }

    #[test]
    fn only_secrets_that_a_login_uses_count() {
        let own = Secret::new(*b"the-initiators-own");
        let used = |auth, mutual| {
            let secrets = secrets_of(&options(auth, "ours", mutual), Some(&own));
            let text = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).unwrap();
            secrets.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(used(None, Some("theirs")), ["ours"]);
        assert_eq!(used(Some(AuthType::Chap), None), ["ours"]);
        assert_eq!(
            used(Some(AuthType::None), Some("theirs")),
            [""; 0],
            "no CHAP, no secret"
        );
        let mutual = Some(AuthType::MutualChap);
        assert_eq!(used(mutual, Some("theirs")), ["ours", "theirs"]);
        assert_eq!(used(mutual, None), ["ours", "the-initiators-own"]);
    }

    #[test]
    fn others_are_found_whichever_way_the_secret_is_used_and_never_the_target_itself() {
        let secrets = |texts: &[&str]| -> Vec<Secret> {
            texts
                .iter()
                .map(|text| Secret::new(text.as_bytes()))
                .collect()
        };
        let all = Secrets::from([
            ("iqn.a".to_owned(), secrets(&["one"])),
            ("iqn.b".to_owned(), secrets(&["two", "one"])),
            ("iqn.c".to_owned(), secrets(&["onee", "on"])),
        ]);
        let found = others_with(&all["iqn.a"], "iqn.a", &all);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["iqn.b"]);
        assert!(others_with(&[], "iqn.x", &all).is_empty());
    }

    #[test]
    fn a_warning_names_a_few_counts_the_rest_and_has_advice() {
        let names: Vec<String> = (0..6).map(|n| format!("iqn.{n}")).collect();
        let others: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let warning = warning("iqn.x", &others).unwrap();
        let start =
            "a CHAP secret for iqn.x is also used for iqn.0, iqn.1, iqn.2, iqn.3 and 2 more:";
        assert!(warning.message.starts_with(start), "{warning}");
        assert!(warning.advice.contains("chap-secret generate"));
        assert!(super::warning("iqn.x", &BTreeSet::new()).is_none());
    }
}
