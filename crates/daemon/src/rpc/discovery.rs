//! The service `Discovery`.

use std::sync::Arc;

use hawser_api::v1;
use hawser_api::v1::discovery_server::Discovery;
use hawser_api::{Failure, Status};
use hawser_store::{SendTargetsPortal, StaticTarget};
use tonic::Request;

use super::{Answer, Service};
use crate::daemon::to_its_end;
use crate::discovery::{self, WantedStatic};
use crate::records::api_change;
use crate::security::may_change;
use crate::{convert, isns, logins};

#[tonic::async_trait]
impl Discovery for Service {
    async fn add_portal(
        &self,
        request: Request<v1::AddPortalRequest>,
    ) -> Answer<v1::AddPortalResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let record = SendTargetsPortal {
            initiator: convert::initiator_in(request.initiator),
            portal: required(request.portal)?,
            login_options: convert::options_in(request.login_options.unwrap_or_default())?,
            security_flags: request.security_flags,
            added_at_ms: 0,
        };
        let daemon = Arc::clone(&self.daemon);
        let work = async move { discovery::add_portal(&daemon, record).await };
        let (change, targets) = to_its_end(work).await?;
        let change = api_change(change).into();
        Ok(tonic::Response::new(v1::AddPortalResponse {
            change,
            targets,
        }))
    }

    async fn remove_portal(
        &self,
        request: Request<v1::RemovePortalRequest>,
    ) -> Answer<v1::RemovePortalResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let initiator = convert::initiator_in(request.initiator);
        let portal = required(request.portal)?;
        let daemon = Arc::clone(&self.daemon);
        let work = async move { discovery::remove_portal(&daemon, &initiator, &portal).await };
        let forgotten_targets = to_its_end(work).await?;
        Ok(tonic::Response::new(v1::RemovePortalResponse {
            forgotten_targets,
        }))
    }

    async fn refresh_portals(
        &self,
        request: Request<v1::RefreshPortalsRequest>,
    ) -> Answer<v1::RefreshPortalsResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let initiator = convert::initiator_in(request.initiator);
        let portal = convert::portal_in(request.portal)?;
        let daemon = Arc::clone(&self.daemon);
        let work = async move { discovery::refresh(&daemon, &initiator, portal.as_ref()).await };
        let portals = to_its_end(work).await?;
        Ok(tonic::Response::new(v1::RefreshPortalsResponse { portals }))
    }

    async fn list_portals(
        &self,
        _: Request<v1::ListPortalsRequest>,
    ) -> Answer<v1::ListPortalsResponse> {
        let portals = discovery::show_portals(&self.daemon);
        Ok(tonic::Response::new(v1::ListPortalsResponse { portals }))
    }

    async fn list_targets(
        &self,
        request: Request<v1::ListTargetsRequest>,
    ) -> Answer<v1::ListTargetsResponse> {
        let mut refreshed = Vec::new();
        let mut refreshed_isns = Vec::new();
        if request.get_ref().refresh {
            // It changes what is known, and makes us connect to places.
            may_change(&request)?;
            let daemon = Arc::clone(&self.daemon);
            let work = async move { discovery::refresh(&daemon, &Default::default(), None).await };
            refreshed = to_its_end(work).await?;
            refreshed_isns = isns::ask_all(&self.daemon);
        }
        let request = request.get_ref();
        let show = match request.view() {
            v1::TargetView::Unspecified => discovery::show_targets,
            v1::TargetView::Name => discovery::show_names,
        };
        let targets = show(&self.daemon, request.include_hidden);
        Ok(tonic::Response::new(v1::ListTargetsResponse {
            targets,
            refreshed,
            refreshed_isns,
        }))
    }

    async fn get_target(
        &self,
        request: Request<v1::GetTargetRequest>,
    ) -> Answer<v1::GetTargetResponse> {
        let name = logins::target_name(&request.into_inner().target_name)?;
        let target = discovery::show_target(&self.daemon, name.as_str());
        let target = target.ok_or_else(|| {
            Failure::new(
                Status::TARGET_NOT_FOUND,
                format!("no target {name} is known"),
            )
            .with_target(name.as_str())
        })?;
        Ok(tonic::Response::new(v1::GetTargetResponse {
            target: Some(target),
        }))
    }

    async fn add_static_target(
        &self,
        request: Request<v1::AddStaticTargetRequest>,
    ) -> Answer<v1::AddStaticTargetResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let portals = request
            .portals
            .into_iter()
            .map(|portal| convert::portal_in(Some(portal)));
        let portals: Result<Vec<_>, Failure> = portals.collect();
        let target = StaticTarget {
            written_name: None,
            target_name: request.target_name,
            alias: request.alias,
            target_flags: request.target_flags,
            mapping: convert::mapping_in(request.mapping)?,
            login_options: request.login_options.map(convert::options_in).transpose()?,
            portals: portals?.into_iter().flatten().collect(),
            added_at_ms: 0,
        };
        let wanted = WantedStatic {
            target,
            persist: request.persist,
        };
        let daemon = Arc::clone(&self.daemon);
        let change =
            to_its_end(async move { discovery::add_static(&daemon, wanted).await }).await?;
        let change = api_change(change).into();
        Ok(tonic::Response::new(v1::AddStaticTargetResponse { change }))
    }

    async fn remove_static_target(
        &self,
        request: Request<v1::RemoveStaticTargetRequest>,
    ) -> Answer<v1::RemoveStaticTargetResponse> {
        may_change(&request)?;
        let name = request.into_inner().target_name;
        let daemon = Arc::clone(&self.daemon);
        to_its_end(async move { discovery::remove_static(&daemon, &name).await }).await?;
        Ok(tonic::Response::new(v1::RemoveStaticTargetResponse {}))
    }

    async fn add_isns_server(
        &self,
        request: Request<v1::AddIsnsServerRequest>,
    ) -> Answer<v1::AddIsnsServerResponse> {
        may_change(&request)?;
        let address = request.into_inner().address;
        let daemon = Arc::clone(&self.daemon);
        let work = async move { isns::add(&daemon, &address).await };
        let (change, targets) = to_its_end(work).await?;
        let change = api_change(change).into();
        Ok(tonic::Response::new(v1::AddIsnsServerResponse {
            change,
            targets,
        }))
    }

    async fn remove_isns_server(
        &self,
        request: Request<v1::RemoveIsnsServerRequest>,
    ) -> Answer<v1::RemoveIsnsServerResponse> {
        may_change(&request)?;
        let address = request.into_inner().address;
        let daemon = Arc::clone(&self.daemon);
        to_its_end(async move { isns::remove(&daemon, &address).await }).await?;
        Ok(tonic::Response::new(v1::RemoveIsnsServerResponse {}))
    }

    async fn refresh_isns_servers(
        &self,
        request: Request<v1::RefreshIsnsServersRequest>,
    ) -> Answer<v1::RefreshIsnsServersResponse> {
        may_change(&request)?;
        let servers = isns::refresh(&self.daemon, &request.get_ref().address)?;
        Ok(tonic::Response::new(v1::RefreshIsnsServersResponse {
            servers,
        }))
    }

    async fn list_isns_servers(
        &self,
        _: Request<v1::ListIsnsServersRequest>,
    ) -> Answer<v1::ListIsnsServersResponse> {
        let servers = isns::show(&self.daemon);
        Ok(tonic::Response::new(v1::ListIsnsServersResponse {
            servers,
        }))
    }
}

/// A portal that a call cannot do without.
fn required(portal: Option<v1::Portal>) -> Result<hawser_store::Portal, Failure> {
    convert::portal_in(portal)?.ok_or_else(|| {
        Failure::new(
            Status::ERROR_INVALID_PARAMETER,
            "the portal's address is missing",
        )
    })
}
