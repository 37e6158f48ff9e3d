//! `hawser login` and `hawser logout`.

use hawser_api::v1::{
    Change, LoginMode, LoginRequest, LoginResponse, LogoutRequest, LogoutResponse, logout_request,
};
use serde::Serialize;

use super::reason::ReasonView;
use super::{Daemon, login_options};
use crate::args::{LoginArgs, LogoutArgs, SessionOrTarget};
use crate::error::CliError;
use crate::output::{self, to_json};
use crate::progress;

/// `hawser login`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn login(daemon: &Daemon, args: LoginArgs) -> Result<(), CliError> {
    let mode = if args.persist {
        LoginMode::NowAndStore
    } else {
        LoginMode::Now
    };
    let request = LoginRequest {
        target_name: args.target.0.clone(),
        portal: args.portal,
        initiator: args.source.map(login_options::from_source),
        login_options: login_options::with_connections(
            login_options::from_args(&args.options)?,
            &args.connections,
        )?,
        mode: mode.into(),
        ..LoginRequest::default()
    };
    let client = daemon.client().await?;
    let mut sessions = client.sessions();
    let what = format!("logging in to {}", args.target);
    let answer = progress::during(&what, sessions.login(request))
        .await?
        .into_inner();
    if let Some(warning) = output::warning(answer.warning) {
        output::note(&warning);
    }
    for warning in &answer.warnings {
        output::note(&format!("warning: {}; {}", warning.message, warning.advice));
    }
    let view = LoginView::new(&args.target.0, &answer);
    output::print(&if args.output.json {
        to_json(&view)
    } else {
        view.into_text()
    })
}

/// What came of a login, in JSON.
#[derive(Debug, Serialize)]
struct LoginView<'a> {
    target: &'a str,
    session: Option<String>,
    portal: Option<String>,
    already_logged_in: bool,
    persistent: bool,
    warnings: Vec<ReasonView>,
}

impl<'a> LoginView<'a> {
    fn new(target: &'a str, answer: &LoginResponse) -> Self {
        Self {
            target,
            session: answer.session_id.as_ref().map(ToString::to_string),
            portal: answer.portal.as_ref().map(ToString::to_string),
            already_logged_in: answer.already_logged_in,
            persistent: answer.persistent_login() != Change::Unspecified,
            warnings: answer.warnings.iter().map(Into::into).collect(),
        }
    }

    fn into_text(self) -> String {
        let at = self
            .portal
            .map(|portal| format!(" at {portal}"))
            .unwrap_or_default();
        let done = if self.already_logged_in {
            "is logged in already"
        } else {
            "logged in"
        };
        let mut text = format!("{}{at}: {done}", self.target);
        if self.persistent {
            text += ", at every start from now on";
        }
        if let Some(session) = self.session {
            text += &format!("\nsession {session}");
        }
        hawser_api::printable(&text).replace("\\u{a}", "\n") + "\n"
    }
}

/// `hawser logout`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn logout(daemon: &Daemon, args: LogoutArgs) -> Result<(), CliError> {
    let which = match args.which {
        SessionOrTarget::Session(id) => logout_request::Which::SessionId(id),
        SessionOrTarget::Target(name) => logout_request::Which::TargetName(name),
    };
    let request = LogoutRequest {
        which: Some(which),
        force: args.force,
    };
    let client = daemon.client().await?;
    let mut sessions = client.sessions();
    let answer = progress::during("logging out", sessions.logout(request))
        .await?
        .into_inner();
    output::print(&logged_out(&answer))
}

fn logged_out(answer: &LogoutResponse) -> String {
    let mut text: String = answer
        .sessions
        .iter()
        .map(|session| format!("session {session}: logged out\n"))
        .collect();
    if answer.persistent_login_remains {
        text += "the persistent login stays: it is logged in again at the next start \
                 (`hawser persistent remove` ends that)\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use hawser_api::v1::SessionId;

    use super::*;

    fn id() -> SessionId {
        SessionId {
            adapter_unique: 1,
            adapter_specific: 0x4000_0137_0000_0001,
        }
    }

    #[test]
    fn a_login_is_told() {
        let mut answer = LoginResponse {
            session_id: Some(id()),
            portal: Some("192.0.2.10".parse().expect("is one")),
            ..LoginResponse::default()
        };
        let name = "iqn.2026-01.example:a";
        let text = LoginView::new(name, &answer).into_text();
        assert_eq!(
            text,
            "iqn.2026-01.example:a at 192.0.2.10:3260: logged in\n\
             session 0000000000000001-4000013700000001\n"
        );
        answer.already_logged_in = true;
        answer.set_persistent_login(Change::Created);
        let text = LoginView::new(name, &answer).into_text();
        assert!(
            text.contains("is logged in already, at every start from now on\n"),
            "{text}"
        );
        let json: serde_json::Value =
            serde_json::from_str(&to_json(&LoginView::new(name, &answer))).expect("is JSON");
        assert_eq!(json["session"], "0000000000000001-4000013700000001");
        assert_eq!(json["persistent"], true);
    }

    #[test]
    fn a_logout_says_what_comes_back() {
        let answer = LogoutResponse {
            sessions: vec![id()],
            persistent_login_remains: true,
        };
        let text = logged_out(&answer);
        assert!(text.starts_with("session 0000000000000001-4000013700000001: logged out\n"));
        assert!(text.contains("hawser persistent remove"), "{text}");
    }
}
