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
            short: self.daemon.config.allow_short_secrets,
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
}
