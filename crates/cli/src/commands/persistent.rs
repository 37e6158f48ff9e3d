//! `hawser persistent`.

use hawser_api::v1::{
    ListPersistentLoginsRequest, PersistentLogin, RemovePersistentLoginRequest,
    RemovePersistentLoginResponse,
};
use serde::Serialize;

use super::Daemon;
use super::login_options::{self, LoginOptionsView};
use super::reason::{ReasonView, short};
use crate::args::PersistentCommand;
use crate::error::CliError;
use crate::output::{self, Listing, to_json};

/// `hawser persistent`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(daemon: &Daemon, command: PersistentCommand) -> Result<(), CliError> {
    let client = daemon.client().await?;
    match command {
        PersistentCommand::List(output) => {
            let request = ListPersistentLoginsRequest {};
            let answer = client.sessions().list_persistent_logins(request).await?;
            let logins = answer.into_inner().logins;
            output::print(&if output.json {
                json(&logins)
            } else {
                table(&logins)
            })
        }
        PersistentCommand::Remove(args) => {
            let request = RemovePersistentLoginRequest {
                initiator: None,
                target_name: args.target.0,
                portal: args.portal,
            };
            let answer = client
                .sessions()
                .remove_persistent_login(request)
                .await?
                .into_inner();
            if !answer.orphaned_paths.is_empty() {
                output::note(&orphans(&answer));
            }
            let s = if answer.removed == 1 { "" } else { "s" };
            output::print(&format!("{} persistent login{s} removed", answer.removed))
        }
    }
}

/// The warning of bound volumes that nothing brings back now.
fn orphans(answer: &RemovePersistentLoginResponse) -> String {
    format!(
        "warning: still bound, but no persistent login brings them back: {}; \
         unbind them, or `hawser wait` will wait for them",
        answer.orphaned_paths.join(" ")
    )
}

/// A persistent login in JSON.
#[derive(Debug, Serialize)]
struct PersistentView<'a> {
    target: &'a str,
    portal: Option<String>,
    moved_to: Option<String>,
    source: Option<&'a str>,
    session: Option<String>,
    informational: bool,
    login_options: Option<LoginOptionsView>,
    last_error: Option<ReasonView>,
}

impl<'a> From<&'a PersistentLogin> for PersistentView<'a> {
    fn from(login: &'a PersistentLogin) -> Self {
        Self {
            target: &login.target_name,
            portal: login.portal.as_ref().map(ToString::to_string),
            moved_to: login.moved_to.as_ref().map(ToString::to_string),
            source: login_options::source(login.initiator.as_ref()),
            session: login.session_id.as_ref().map(ToString::to_string),
            informational: login.informational,
            login_options: login.login_options.as_ref().map(Into::into),
            last_error: login.last_error.as_ref().map(Into::into),
        }
    }
}

/// The persistent logins as JSON.
fn json(logins: &[PersistentLogin]) -> String {
    to_json(&logins.iter().map(PersistentView::from).collect::<Vec<_>>())
}

/// The persistent logins as a table.
fn table(logins: &[PersistentLogin]) -> String {
    let heads = ["TARGET", "PORTAL", "SESSION", "LOGIN", "LAST ERROR"];
    let mut listing = Listing::new(&heads, "no persistent logins");
    for login in logins {
        let portal = match (&login.portal, &login.moved_to) {
            (Some(portal), _) => portal.to_string(),
            (None, Some(moved)) => format!("any, first {moved}"),
            (None, None) => "any".to_owned(),
        };
        let session = login
            .session_id
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let options =
            login_options::summary(login.login_options.as_ref(), login.initiator.as_ref());
        let error = short(login.last_error.as_ref());
        listing.row([
            login.target_name.as_str(),
            &portal,
            &session,
            &options,
            &error,
        ]);
    }
    listing.into_text()
}

#[cfg(test)]
mod tests {
    use hawser_api::v1::{AuthType, Digest, ErrorDetail, LoginOptions};

    use super::*;

    fn login() -> PersistentLogin {
        let mut options = LoginOptions {
            secret_set: true,
            ..LoginOptions::default()
        };
        options.set_auth_type(AuthType::Chap);
        options.set_header_digest(Digest::Crc32c);
        PersistentLogin {
            target_name: "iqn.2026-01.example:a".to_owned(),
            login_options: Some(options),
            last_error: Some(ErrorDetail {
                status: 0xefff_0003,
                message: "cannot connect".to_owned(),
                peer_said: "connection refused".to_owned(),
                ..ErrorDetail::default()
            }),
            ..PersistentLogin::default()
        }
    }

    #[test]
    fn the_table_tells_why_a_login_waits() {
        let expected = "\
TARGET                 PORTAL  SESSION  LOGIN                LAST ERROR
iqn.2026-01.example:a  any     -        chap, header crc32c  cannot connect (peer said: connection refused)
";
        assert_eq!(table(&[login()]), expected);
    }

    #[test]
    fn a_target_that_has_moved_is_told_with_its_new_portal() {
        let mut moved = login();
        moved.moved_to = "192.0.2.10".parse().ok();
        let text = table(std::slice::from_ref(&moved));
        assert!(text.contains("any, first 192.0.2.10:3260"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&json(&[moved])).expect("is JSON");
        assert_eq!(json[0]["moved_to"], "192.0.2.10:3260");
    }

    #[test]
    fn the_json_says_that_a_secret_is_set_and_no_more() {
        let json: serde_json::Value = serde_json::from_str(&json(&[login()])).expect("is JSON");
        assert_eq!(json[0]["login_options"]["chap_secret_set"], true);
        assert_eq!(json[0]["login_options"]["auth"], "chap");
        assert_eq!(json[0]["portal"], serde_json::Value::Null);
        assert_eq!(json[0]["last_error"]["status"], "ISDSC_CONNECTION_FAILED");
    }

    #[test]
    fn orphans_are_named() {
        let answer = RemovePersistentLoginResponse {
            removed: 1,
            orphaned_paths: vec!["/srv/data".to_owned()],
        };
        assert!(orphans(&answer).contains("/srv/data"));
    }
}
