//! The service `Sessions`.

use std::sync::Arc;

use hawser_api::v1;
use hawser_api::v1::sessions_server::Sessions;
use hawser_api::{Failure, Status};
use hawser_store::{PersistentLogin, Record};
use tonic::Request;

use super::{Answer, Service};
use crate::daemon::{Daemon, to_its_end};
use crate::logins::{self, Wanted};
use crate::records::api_change;
use crate::security::may_change;
use crate::sessions::Entry;
use crate::{connections, convert, devices};

#[tonic::async_trait]
impl Sessions for Service {
    async fn login(&self, request: Request<v1::LoginRequest>) -> Answer<v1::LoginResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let mode = match request.mode() {
            v1::LoginMode::Unspecified => v1::LoginMode::Now,
            mode => mode,
        };
        let wanted = Wanted {
            target: logins::target_name(&request.target_name)?,
            informational: request.informational,
            initiator: convert::initiator_in(request.initiator),
            portal: convert::portal_in(request.portal)?,
            moved_to: None,
            security_flags: request.security_flags,
            mapping: convert::mapping_in(request.mapping)?,
            options: request.login_options.map(convert::options_in).transpose()?,
            preshared_key: convert::key_in(request.preshared_key)?,
        };
        let daemon = Arc::clone(&self.daemon);
        let work = async move {
            let done = logins::login(&daemon, wanted, mode).await?;
            if done.stored.is_some() {
                devices::settle_links(&daemon).await;
            }
            Ok(done)
        };
        let done = to_its_end(work).await?;
        let view = done.entry.as_ref().and_then(|entry| entry.view());
        Ok(tonic::Response::new(v1::LoginResponse {
            session_id: done.entry.as_ref().map(|entry| entry.id),
            connection_id: done.entry.as_ref().map(|entry| entry.first_connection_id()),
            already_logged_in: done.already,
            portal: view.map(|view| convert::engine_portal_out(&view.portal)),
            persistent_login: done
                .stored
                .map_or(v1::Change::Unspecified, api_change)
                .into(),
            warning: 0,
            warnings: done.shared_secret.into_iter().map(Into::into).collect(),
        }))
    }

    async fn logout(&self, request: Request<v1::LogoutRequest>) -> Answer<v1::LogoutResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let (target, entries) = meant(&self.daemon, request.which)?;
        let daemon = Arc::clone(&self.daemon);
        let name = target.clone();
        let work = async move { logins::logout(&daemon, &name, entries, request.force).await };
        let sessions = to_its_end(work).await?;
        let persistent_login_remains = is_stored(&self.daemon, &target);
        Ok(tonic::Response::new(v1::LogoutResponse {
            sessions,
            persistent_login_remains,
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Answer<v1::ListSessionsResponse> {
        let all = self.daemon.sessions.all();
        let all = all.iter().map(|entry| (entry, entry.login().is_some()));
        let sessions = match request.get_ref().view() {
            v1::SessionView::Connections => all
                .map(|(entry, persistent)| entry.show_connections(persistent))
                .collect(),
            v1::SessionView::Negotiated => all
                .map(|(entry, persistent)| entry.show_negotiated(persistent))
                .collect(),
            v1::SessionView::Unspecified => {
                let mut luns = self.daemon.disks.luns();
                let mut own = |id: &v1::SessionId| luns.remove(&id.adapter_specific);
                all.map(|(entry, persistent)| {
                    entry.show(persistent, own(&entry.id).unwrap_or_default())
                })
                .collect()
            }
        };
        Ok(tonic::Response::new(v1::ListSessionsResponse { sessions }))
    }

    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Answer<v1::GetSessionResponse> {
        let id = request.into_inner().session_id.unwrap_or_default();
        let entry = self.daemon.sessions.get(id)?;
        let session = Some(show(&self.daemon, &entry));
        Ok(tonic::Response::new(v1::GetSessionResponse { session }))
    }

    async fn list_persistent_logins(
        &self,
        _: Request<v1::ListPersistentLoginsRequest>,
    ) -> Answer<v1::ListPersistentLoginsResponse> {
        let stored = self.daemon.records.all::<PersistentLogin>().into_iter();
        let sessions = self.daemon.sessions.by_target();
        let logins = stored.map(|login| {
            let own = sessions.get(&login.target_name);
            show_login(login, own.map_or(&[], Vec::as_slice))
        });
        let logins = logins.collect();
        Ok(tonic::Response::new(v1::ListPersistentLoginsResponse {
            logins,
        }))
    }

    async fn remove_persistent_login(
        &self,
        request: Request<v1::RemovePersistentLoginRequest>,
    ) -> Answer<v1::RemovePersistentLoginResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let target = logins::target_name(&request.target_name)?;
        let initiator = convert::initiator_in(request.initiator);
        let portal = convert::portal_in(request.portal)?;
        let daemon = Arc::clone(&self.daemon);
        let work = async move {
            logins::remove_stored(&daemon, target.as_str(), &initiator, portal.as_ref()).await
        };
        let (removed, orphaned_paths) = to_its_end(work).await?;
        let response = v1::RemovePersistentLoginResponse {
            removed,
            orphaned_paths,
        };
        Ok(tonic::Response::new(response))
    }

    async fn add_connection(
        &self,
        request: Request<v1::AddConnectionRequest>,
    ) -> Answer<v1::AddConnectionResponse> {
        may_change(&request)?;
        let daemon = Arc::clone(&self.daemon);
        let request = request.into_inner();
        let work = async move { connections::add(&daemon, request).await };
        let connection_id = Some(to_its_end(work).await?);
        Ok(tonic::Response::new(v1::AddConnectionResponse {
            connection_id,
        }))
    }

    async fn remove_connection(
        &self,
        request: Request<v1::RemoveConnectionRequest>,
    ) -> Answer<v1::RemoveConnectionResponse> {
        may_change(&request)?;
        let daemon = Arc::clone(&self.daemon);
        let request = request.into_inner();
        to_its_end(async move { connections::remove(&daemon, &request).await }).await?;
        Ok(tonic::Response::new(v1::RemoveConnectionResponse {}))
    }

    async fn set_policy(
        &self,
        request: Request<v1::SetPolicyRequest>,
    ) -> Answer<v1::SetPolicyResponse> {
        may_change(&request)?;
        connections::set_policy(&self.daemon, request.get_ref())?;
        Ok(tonic::Response::new(v1::SetPolicyResponse {}))
    }

    async fn list_mappings(
        &self,
        _: Request<v1::ListMappingsRequest>,
    ) -> Answer<v1::ListMappingsResponse> {
        let mappings = devices::show_mappings(&self.daemon);
        Ok(tonic::Response::new(v1::ListMappingsResponse { mappings }))
    }
}

/// The sessions that a logout means, all of one target.
fn meant(
    daemon: &Daemon,
    which: Option<v1::logout_request::Which>,
) -> Result<(String, Vec<Arc<Entry>>), Failure> {
    match which {
        Some(v1::logout_request::Which::SessionId(id)) => {
            let entry = daemon.sessions.get(id)?;
            Ok((entry.origin.target.clone(), vec![entry]))
        }
        Some(v1::logout_request::Which::TargetName(name)) => {
            let name = logins::target_name(&name)?;
            let entries = daemon.sessions.of_target(name.as_str());
            if entries.is_empty() {
                let message = format!("there is no session with {name}");
                let failure = Failure::new(Status::TARGET_NOT_FOUND, message);
                return Err(failure.with_target(name.as_str()));
            }
            Ok((name.as_str().to_owned(), entries))
        }
        None => {
            let message = "neither a session nor a target is named";
            Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message))
        }
    }
}

/// A login to this target is stored, informational or not.
fn is_stored(daemon: &Daemon, target: &str) -> bool {
    let stored = daemon.records.all::<PersistentLogin>();
    stored.iter().any(|login| login.target_name == target)
}

fn show(daemon: &Daemon, entry: &Entry) -> v1::Session {
    let luns = daemon
        .disks
        .of_session(entry.id)
        .iter()
        .map(|disk| disk.lun.as_u64())
        .collect();
    entry.show(entry.login().is_some(), luns)
}

/// A persistent login, with the sessions of its target.
fn show_login(login: PersistentLogin, sessions: &[Arc<Entry>]) -> v1::PersistentLogin {
    let key = login.key();
    let entry = sessions
        .iter()
        .find(|entry| entry.login().as_ref() == Some(&key));
    let down = entry.filter(|entry| entry.view().is_none());
    v1::PersistentLogin {
        target_name: login.target_name,
        informational: login.informational,
        initiator: Some(convert::initiator_out(&login.initiator)),
        portal: login.portal.as_ref().map(convert::portal_out),
        moved_to: login.moved_to.as_ref().map(convert::portal_out),
        security_flags: login.security_flags,
        preshared_key_set: login.preshared_key.is_some(),
        mapping: login.mapping.as_ref().map(convert::mapping_out),
        login_options: login.login_options.as_ref().map(convert::options_out),
        session_id: entry.map(|entry| entry.id),
        last_error: down.and_then(|entry| entry.last_error()).map(Into::into),
    }
}
