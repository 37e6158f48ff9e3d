//! The service `Security`.

use hawser_api::v1;
use hawser_api::v1::security_server::Security;
use hawser_store::{SecretName, StoredSecret};
use tonic::Request;

use super::{Answer, Service};
use crate::convert;
use crate::records::api_change;
use crate::security::{self, Lengths, may_change};

#[tonic::async_trait]
impl Security for Service {
    async fn set_chap_secret(
        &self,
        request: Request<v1::SetChapSecretRequest>,
    ) -> Answer<v1::SetChapSecretResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let secret = convert::secret_in(request.secret)?;
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
        Err(super::not_built("AddRadiusServer"))
    }

    async fn remove_radius_server(
        &self,
        request: Request<v1::RemoveRadiusServerRequest>,
    ) -> Answer<v1::RemoveRadiusServerResponse> {
        may_change(&request)?;
        Err(super::not_built("RemoveRadiusServer"))
    }

    async fn list_radius_servers(
        &self,
        _: Request<v1::ListRadiusServersRequest>,
    ) -> Answer<v1::ListRadiusServersResponse> {
        Err(super::not_built("ListRadiusServers"))
    }

    async fn set_radius_secret(
        &self,
        request: Request<v1::SetRadiusSecretRequest>,
    ) -> Answer<v1::SetRadiusSecretResponse> {
        may_change(&request)?;
        Err(super::not_built("SetRadiusSecret"))
    }

    async fn set_group_preshared_key(
        &self,
        request: Request<v1::SetGroupPresharedKeyRequest>,
    ) -> Answer<v1::SetGroupPresharedKeyResponse> {
        may_change(&request)?;
        Err(super::not_built("SetGroupPresharedKey"))
    }

    async fn set_ike_info(
        &self,
        request: Request<v1::SetIkeInfoRequest>,
    ) -> Answer<v1::SetIkeInfoResponse> {
        may_change(&request)?;
        Err(super::not_built("SetIkeInfo"))
    }

    async fn get_ike_info(
        &self,
        _: Request<v1::GetIkeInfoRequest>,
    ) -> Answer<v1::GetIkeInfoResponse> {
        Err(super::not_built("GetIkeInfo"))
    }

    async fn list_ike_info(
        &self,
        _: Request<v1::ListIkeInfoRequest>,
    ) -> Answer<v1::ListIkeInfoResponse> {
        Err(super::not_built("ListIkeInfo"))
    }

    async fn set_tunnel_address(
        &self,
        request: Request<v1::SetTunnelAddressRequest>,
    ) -> Answer<v1::SetTunnelAddressResponse> {
        may_change(&request)?;
        Err(super::not_built("SetTunnelAddress"))
    }

    async fn list_tunnel_addresses(
        &self,
        _: Request<v1::ListTunnelAddressesRequest>,
    ) -> Answer<v1::ListTunnelAddressesResponse> {
        Err(super::not_built("ListTunnelAddresses"))
    }
}
