//! The service `Security`.

use std::sync::Arc;

use hawser_api::v1;
use hawser_api::v1::security_server::Security;
use hawser_store::{SecretName, StoredSecret};
use tonic::Request;

use super::{Answer, Service};
use crate::daemon::to_its_end;
use crate::records::api_change;
use crate::security::{self, Lengths, may_change};
use crate::{convert, ipsec, radius};

#[tonic::async_trait]
impl Security for Service {
    async fn set_chap_secret(
        &self,
        request: Request<v1::SetChapSecretRequest>,
    ) -> Answer<v1::SetChapSecretResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let secret = convert::own_secret_in(request.secret)?;
        let lengths = Lengths {
            short: self.daemon.config.allow_short_secrets || request.store_short,
            long: request.allow_long,
        };
        let records = &self.daemon.records;
        let (change, warning) = security::set_chap_secret(records, secret, lengths).await?;
        let response = v1::SetChapSecretResponse {
            change: api_change(change).into(),
            warning: warning.code(),
        };
        Ok(tonic::Response::new(response))
    }

    async fn clear_chap_secret(
        &self,
        request: Request<v1::ClearChapSecretRequest>,
    ) -> Answer<v1::ClearChapSecretResponse> {
        may_change(&request)?;
        let change = self
            .daemon
            .records
            .remove::<StoredSecret>(SecretName::InitiatorChap)
            .await?;
        let change = api_change(change).into();
        Ok(tonic::Response::new(v1::ClearChapSecretResponse { change }))
    }

    async fn add_radius_server(
        &self,
        request: Request<v1::AddRadiusServerRequest>,
    ) -> Answer<v1::AddRadiusServerResponse> {
        may_change(&request)?;
        let change = radius::add(&self.daemon, &request.get_ref().address).await?;
        let change = api_change(change).into();
        Ok(tonic::Response::new(v1::AddRadiusServerResponse { change }))
    }

    async fn remove_radius_server(
        &self,
        request: Request<v1::RemoveRadiusServerRequest>,
    ) -> Answer<v1::RemoveRadiusServerResponse> {
        may_change(&request)?;
        radius::remove(&self.daemon, &request.get_ref().address).await?;
        Ok(tonic::Response::new(v1::RemoveRadiusServerResponse {}))
    }

    async fn list_radius_servers(
        &self,
        _: Request<v1::ListRadiusServersRequest>,
    ) -> Answer<v1::ListRadiusServersResponse> {
        Ok(tonic::Response::new(v1::ListRadiusServersResponse {
            addresses: radius::addresses(&self.daemon),
            secret_set: radius::has_secret(&self.daemon),
        }))
    }

    async fn set_radius_secret(
        &self,
        request: Request<v1::SetRadiusSecretRequest>,
    ) -> Answer<v1::SetRadiusSecretResponse> {
        may_change(&request)?;
        let secret = convert::key_in(request.into_inner().secret)?;
        let change = radius::set_secret(&self.daemon, secret).await?;
        let change = api_change(change).into();
        Ok(tonic::Response::new(v1::SetRadiusSecretResponse { change }))
    }

    async fn set_group_preshared_key(
        &self,
        request: Request<v1::SetGroupPresharedKeyRequest>,
    ) -> Answer<v1::SetGroupPresharedKeyResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let key = convert::key_in(request.key)?;
        let daemon = Arc::clone(&self.daemon);
        let work = async move { ipsec::set_group_key(&daemon, key, request.persist).await };
        let change = api_change(to_its_end(work).await?).into();
        Ok(tonic::Response::new(v1::SetGroupPresharedKeyResponse {
            change,
        }))
    }

    async fn set_ike_info(
        &self,
        request: Request<v1::SetIkeInfoRequest>,
    ) -> Answer<v1::SetIkeInfoResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let daemon = Arc::clone(&self.daemon);
        let work = async move { ipsec::set_info(&daemon, request).await };
        let change = api_change(to_its_end(work).await?).into();
        Ok(tonic::Response::new(v1::SetIkeInfoResponse { change }))
    }

    async fn get_ike_info(
        &self,
        request: Request<v1::GetIkeInfoRequest>,
    ) -> Answer<v1::GetIkeInfoResponse> {
        let security_flags = ipsec::info_flags(&self.daemon, request.into_inner())?;
        Ok(tonic::Response::new(v1::GetIkeInfoResponse {
            security_flags,
        }))
    }

    async fn list_ike_info(
        &self,
        _: Request<v1::ListIkeInfoRequest>,
    ) -> Answer<v1::ListIkeInfoResponse> {
        let infos = ipsec::show_infos(&self.daemon);
        Ok(tonic::Response::new(v1::ListIkeInfoResponse { infos }))
    }

    async fn set_tunnel_address(
        &self,
        request: Request<v1::SetTunnelAddressRequest>,
    ) -> Answer<v1::SetTunnelAddressResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let daemon = Arc::clone(&self.daemon);
        let work = async move { ipsec::set_tunnel(&daemon, request).await };
        let change = api_change(to_its_end(work).await?).into();
        Ok(tonic::Response::new(v1::SetTunnelAddressResponse {
            change,
        }))
    }

    async fn list_tunnel_addresses(
        &self,
        _: Request<v1::ListTunnelAddressesRequest>,
    ) -> Answer<v1::ListTunnelAddressesResponse> {
        let addresses = ipsec::show_tunnels(&self.daemon);
        Ok(tonic::Response::new(v1::ListTunnelAddressesResponse {
            addresses,
        }))
    }
}
