//! Logins, sessions, connections, and the LUNs of sessions.

use hawser_api::discovery_library::Check;
use hawser_api::v1::{
    AddConnectionRequest, ConnectionId, Device, InitiatorPort, ListDevicesRequest,
    ListDisksRequest, ListMappingsRequest, ListSessionsRequest, LoginMode, LoginRequest,
    LoginResponse, LogoutRequest, RemoveConnectionRequest, Session, SessionId, logout_request,
};
use hawser_api::{Client, Failure, Status};
use serde_json::{Value, json};

use super::commands::Request;
use super::discovery::given;
use super::options;
use super::page::{Page, id_0x, shown};
use super::stop::{Answer, Stop};
use super::values::{Values, portal};

mod listing;

pub(super) use listing::{Listed, mappings as listed_mappings, sessions as listed_sessions};

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Login(LoginRequest, Heading),
    Logout(SessionId),
    List { devices: bool },
    AddConnection(AddConnectionRequest, Told),
    RemoveConnection(RemoveConnectionRequest),
    Mappings,
}

/// Whether a login begins with a line that says what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heading {
    Printed,
    Absent,
}

/// Whether the id of a new connection is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    No,
}

pub(super) fn login(values: &mut Values) -> Result<Request, Stop> {
    full_login(values, LoginMode::Now)
}

pub(super) fn persistent_login(values: &mut Values) -> Result<Request, Stop> {
    full_login(values, LoginMode::Store)
}

fn full_login(values: &mut Values, mode: LoginMode) -> Result<Request, Stop> {
    let target_name = values.name();
    let report_to_pnp = values.flag();
    let portal = values.whole_portal()?;
    let initiator = given(values.initiator());
    let security_flags = values.number().unwrap_or(0).into();
    let login_options = values.login_options();
    let preshared_key = values.secret();
    let request = LoginRequest {
        target_name,
        informational: !report_to_pnp,
        initiator,
        portal,
        security_flags,
        mapping: values.mapping(),
        login_options,
        preshared_key,
        mode: mode.into(),
    };
    Ok(Request::Sessions(Ask::Login(request, Heading::Printed)))
}

pub(super) fn quick_login(values: &mut Values) -> Result<Request, Stop> {
    let target_name = values.name();
    let (user, secret) = (values.text(), values.secret());
    let request = LoginRequest {
        target_name,
        login_options: user.map(|user| options::one_way_chap(user, secret)),
        mode: LoginMode::Now.into(),
        ..LoginRequest::default()
    };
    Ok(Request::Sessions(Ask::Login(request, Heading::Absent)))
}

pub(super) fn logout(values: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Sessions(Ask::Logout(values.session_id())))
}

pub(super) fn list(values: &mut Values) -> Result<Request, Stop> {
    let devices = values.flag();
    Ok(Request::Sessions(Ask::List { devices }))
}

pub(super) fn mappings(_: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Sessions(Ask::Mappings))
}

pub(super) fn add_connection(values: &mut Values) -> Result<Request, Stop> {
    let session_id = values.session_id();
    let initiator = given(InitiatorPort {
        // The Discovery Library does not look at it.
        instance: String::new(),
        ..values.initiator()
    });
    let portal = values.portal()?;
    let security_flags = values.number().unwrap_or(0).into();
    let request = AddConnectionRequest {
        session_id: Some(session_id),
        initiator,
        portal,
        security_flags,
        login_options: values.login_options(),
        preshared_key: values.secret(),
    };
    Ok(Request::Sessions(Ask::AddConnection(request, Told::No)))
}

pub(super) fn quick_add_connection(values: &mut Values) -> Result<Request, Stop> {
    let session_id = values.session_id();
    // The Discovery Library does not look at it.
    drop(values.text());
    let address = values.text();
    let (user, secret) = (values.text(), values.secret());
    let request = AddConnectionRequest {
        session_id: Some(session_id),
        portal: address.map(|address| portal(address, 0)),
        login_options: user.map(|user| options::one_way_chap(user, secret)),
        ..AddConnectionRequest::default()
    };
    Ok(Request::Sessions(Ask::AddConnection(request, Told::Yes)))
}

pub(super) fn remove_connection(values: &mut Values) -> Result<Request, Stop> {
    let request = RemoveConnectionRequest {
        session_id: Some(values.session_id()),
        connection_id: Some(values.connection_id()),
    };
    Ok(Request::Sessions(Ask::RemoveConnection(request)))
}

/// Whether the Discovery Library would ask this.
///
/// # Errors
/// Why not, behind the line that the command begins with.
pub(super) fn check(ask: &Ask) -> Result<(), Stop> {
    let (checked, heading) = match ask {
        Ask::Login(request, Heading::Printed) => (request.check(), login_heading(request)),
        Ask::Login(request, Heading::Absent) => (request.check(), Page::default()),
        // Its id is read as one that there can be.
        Ask::Logout(_) | Ask::List { .. } | Ask::Mappings => return Ok(()),
        Ask::AddConnection(request, _) => (request.check(), Page::default()),
        Ask::RemoveConnection(request) => (request.check(), Page::default()),
    };
    checked.map_err(|failure| Stop::from(failure).after(&heading))
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    let mut sessions = client.sessions();
    match ask {
        Ask::Login(request, heading) => send_login(client, request, heading).await,
        Ask::Logout(id) => send_logout(client, id).await,
        Ask::List { devices } => listed_sessions_of(client, devices).await,
        Ask::AddConnection(request, told) => {
            let answer = sessions.add_connection(request).await?.into_inner();
            Ok(connected(told, answer.connection_id.unwrap_or_default()))
        }
        Ask::RemoveConnection(request) => {
            sessions.remove_connection(request).await?;
            Ok(Answer::done())
        }
        Ask::Mappings => {
            let answer = sessions.list_mappings(ListMappingsRequest {}).await?;
            Ok(listed_mappings(&answer.into_inner().mappings))
        }
    }
}

/// A connection that was added.
pub(super) fn connected(told: Told, id: ConnectionId) -> Answer {
    let mut page = Page::default();
    if told == Told::Yes {
        page.line(connection_line(id));
    }
    Answer::new(page, json!({ "connection": id.to_string() }))
}

fn connection_line(id: ConnectionId) -> String {
    let text = id_0x(id.adapter_unique, id.adapter_specific);
    format!("Connection Id is {text}")
}

async fn send_login(
    client: &Client,
    request: LoginRequest,
    heading: Heading,
) -> Result<Answer, Stop> {
    let stored_only = request.mode() == LoginMode::Store;
    let page = match heading {
        Heading::Printed => login_heading(&request),
        Heading::Absent => Page::default(),
    };
    let answer = match client.sessions().login(request).await {
        Ok(answer) => answer.into_inner(),
        Err(error) => return Err(Stop::from(error).after(&page)),
    };
    let done = logged_in(page, answer);
    Ok(if stored_only {
        done.note(
            "the login is stored and made at each start of the daemon; LoginTarget logs in now",
        )
    } else {
        done
    })
}

/// A login that was made or stored, behind its heading.
pub(super) fn logged_in(mut page: Page, answer: LoginResponse) -> Answer {
    if let (Some(session), Some(connection)) = (answer.session_id, answer.connection_id) {
        let session = id_0x(session.adapter_unique, session.adapter_specific);
        page.line(format!("Session Id is {session}"));
        page.line(connection_line(connection));
    }
    let json = json!({
        "session": answer.session_id.map(|id| id.to_string()),
        "connection": answer.connection_id.map(|id| id.to_string()),
        "portal": answer.portal.as_ref().map(ToString::to_string),
    });
    let mut done = Answer::new(page, json).warning(answer.warning);
    for warning in answer.warnings {
        done = done.note(warning.message);
    }
    done
}

/// The line that a login begins with.
pub(super) fn login_heading(request: &LoginRequest) -> Page {
    let mut page = Page::default();
    let instance = match &request.initiator {
        Some(initiator) if !initiator.instance.is_empty() => shown(&initiator.instance),
        _ => "<no init instance>".to_owned(),
    };
    let (address, port) = match &request.portal {
        Some(portal) => (shown(&portal.address), portal.port),
        None => ("<no portal>".to_owned(), 0),
    };
    let name = shown(&request.target_name);
    page.line(format!(
        "LoginTarget to {name} on {instance} to {address}/{port}"
    ));
    page
}

/// The line that a logout begins with.
pub(super) fn logout_heading(id: SessionId) -> Page {
    let mut page = Page::default();
    let text = id_0x(id.adapter_unique, id.adapter_specific);
    page.line(format!("Logout Target {text}"));
    page
}

async fn send_logout(client: &Client, id: SessionId) -> Result<Answer, Stop> {
    let page = logout_heading(id);
    let request = LogoutRequest {
        which: Some(logout_request::Which::SessionId(id)),
        force: false,
    };
    match client.sessions().logout(request).await {
        Ok(answer) => {
            let remains = answer.into_inner().persistent_login_remains;
            let done = Answer::new(page, json!({ "persistent_login_remains": remains }));
            Ok(if remains {
                done.note("the persistent login stays: the daemon logs in again at its next start")
            } else {
                done
            })
        }
        Err(error) => Err(Stop::from(error).after(&page)),
    }
}

async fn listed_sessions_of(client: &Client, devices: bool) -> Result<Answer, Stop> {
    let mut sessions = client.sessions();
    let answer = sessions
        .list_sessions(ListSessionsRequest::default())
        .await?;
    let mut listed = Vec::new();
    for session in answer.into_inner().sessions {
        let devices = if devices {
            devices_of(client, &session).await?
        } else {
            Vec::new()
        };
        listed.push(Listed {
            session,
            devices,
            disks: Vec::new(),
        });
    }
    if listed.iter().any(|one| !one.devices.is_empty()) {
        // All at once: the daemon looks through all processes for it.
        let mut volumes = client.volumes();
        let answer = volumes.list_disks(ListDisksRequest::default()).await?;
        for disk in answer.into_inner().disks {
            let of = listed
                .iter_mut()
                .find(|one| one.session.id == disk.session_id);
            if let Some(one) = of {
                one.disks.push(disk);
            }
        }
    }
    Ok(listed_sessions(&listed))
}

/// The devices of a session. One that has ended meanwhile has none.
async fn devices_of(client: &Client, session: &Session) -> Result<Vec<Device>, Stop> {
    let request = ListDevicesRequest {
        session_id: session.id,
    };
    match client.volumes().list_devices(request).await {
        Ok(answer) => Ok(answer.into_inner().devices),
        Err(error) => {
            let failure = Failure::from(error);
            if failure.status == Status::INVALID_SESSION_ID {
                return Ok(Vec::new());
            }
            Err(failure.into())
        }
    }
}

/// A list of values as JSON.
fn values<T>(all: &[T], each: impl Fn(&T) -> Value) -> Value {
    all.iter().map(each).collect()
}
