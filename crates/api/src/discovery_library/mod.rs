//! What the Discovery Library asks of the arguments of its calls, whoever makes them: `libiscsidsc`, whose callers are
//! programs, and `iscsicli`, whose callers are people. On Windows both are one library, and one bad value has one status.
//!
//! [`Check`] judges a request, without asking anybody, before it is sent; sections are those of the fact sheet on
//! `iscsidsc.h`. `hawser` does not check so: what its commands may say is more, and the daemon's to judge.

use crate::v1::{
    AddConnectionRequest, AddIsnsServerRequest, AddPortalRequest, AddRadiusServerRequest,
    AddStaticTargetRequest, BindAllRequest, BindRequest, ClearChapSecretRequest, GetIkeInfoRequest,
    GetNodeNameRequest, GetTargetRequest, InquiryRequest, ListBoundRequest, ListDevicesRequest,
    ListInitiatorsRequest, ListIsnsServersRequest, ListMappingsRequest,
    ListPersistentLoginsRequest, ListPortalsRequest, ListRadiusServersRequest, ListSessionsRequest,
    ListTargetsRequest, LoginOptions, LoginRequest, LogoutRequest, ReadCapacityRequest,
    RefreshIsnsServersRequest, RefreshPortalsRequest, RemoveConnectionRequest,
    RemoveIsnsServerRequest, RemovePersistentLoginRequest, RemovePortalRequest,
    RemoveRadiusServerRequest, RemoveStaticTargetRequest, ReportLunsRequest, SetChapSecretRequest,
    SetGroupPresharedKeyRequest, SetIkeInfoRequest, SetNodeNameRequest, SetRadiusSecretRequest,
    SetTunnelAddressRequest, UnbindAllRequest, UnbindRequest, logout_request,
};
use crate::{Failure, Status};

mod options;
mod rules;

pub use options::{auth_type, digest, max_connections};
pub use rules::{absolute_path, portal_address};

/// A request that the Discovery Library makes.
pub trait Check {
    /// Whether the library would ask the service this.
    ///
    /// # Errors
    /// The status with which the library refuses it, and what is wrong.
    fn check(&self) -> Result<(), Failure>;
}

macro_rules! checks {
    ($($(#[$doc:meta])* $request:ty: |$this:ident| $check:expr;)*) => {
        $(
            $(#[$doc])*
            impl Check for $request {
                fn check(&self) -> Result<(), Failure> {
                    let $this = self;
                    $check
                }
            }
        )*
    };
}

/// Requests with nothing in them that could be wrong.
macro_rules! always_good {
    ($($request:ty),* $(,)?) => {
        $(
            impl Check for $request {
                fn check(&self) -> Result<(), Failure> {
                    Ok(())
                }
            }
        )*
    };
}

always_good!(
    BindAllRequest,
    ClearChapSecretRequest,
    GetNodeNameRequest,
    ListBoundRequest,
    ListInitiatorsRequest,
    ListIsnsServersRequest,
    ListMappingsRequest,
    ListPersistentLoginsRequest,
    ListPortalsRequest,
    ListRadiusServersRequest,
    ListSessionsRequest,
    ListTargetsRequest,
    UnbindAllRequest,
);

checks! {
    /// §2.1.
    SetNodeNameRequest: |this| rules::node_name(&this.node_name);

    /// §2.2. Whether there is an initiator of that name is the daemon's to say, here as in all others.
    AddPortalRequest: |this| {
        rules::initiator(this.initiator.as_ref())?;
        rules::portal(this.portal.as_ref())?;
        rules::security_flags(this.security_flags)?;
        given(this.login_options.as_ref())
    };
    /// §2.2: as it is looked for, without its symbolic name.
    RemovePortalRequest: |this| {
        rules::initiator(this.initiator.as_ref())?;
        rules::named_portal(this.portal.as_ref())
    };
    /// §2.2: as it is looked for, without its symbolic name.
    RefreshPortalsRequest: |this| {
        rules::initiator(this.initiator.as_ref())?;
        rules::named_portal(this.portal.as_ref())
    };
    /// §2.2.
    AddStaticTargetRequest: |this| {
        rules::target_name(&this.target_name)?;
        rules::alias(&this.alias)?;
        rules::target_flags(this.target_flags)?;
        rules::mapping(this.mapping.as_ref())?;
        rules::portals(&this.portals)?;
        given(this.login_options.as_ref())
    };
    /// §2.2.
    RemoveStaticTargetRequest: |this| rules::target_name(&this.target_name);
    /// §2.2.
    GetTargetRequest: |this| rules::target_name(&this.target_name);

    /// §2.3.
    LoginRequest: |this| {
        rules::target_name(&this.target_name)?;
        rules::login_initiator(this.initiator.as_ref())?;
        rules::optional_portal(this.portal.as_ref())?;
        rules::security_flags(this.security_flags)?;
        rules::mapping(this.mapping.as_ref())?;
        rules::key(this.preshared_key.as_ref())?;
        given(this.login_options.as_ref())
    };
    /// §2.3.
    LogoutRequest: |this| match &this.which {
        Some(logout_request::Which::SessionId(id)) => rules::session_id(Some(id)),
        _ => Ok(()),
    };
    /// §2.3. The initiator is not looked at (§6 row 16), but for its port.
    AddConnectionRequest: |this| {
        rules::session_id(this.session_id.as_ref())?;
        rules::optional_portal(this.portal.as_ref())?;
        rules::security_flags(this.security_flags)?;
        rules::key(this.preshared_key.as_ref())?;
        given(this.login_options.as_ref())
    };
    /// §2.3. An id of a connection that there is not is the daemon's to say.
    RemoveConnectionRequest: |this| rules::session_id(this.session_id.as_ref());
    /// §2.3.
    ListDevicesRequest: |this| rules::session_id(this.session_id.as_ref());

    /// §2.4.
    RemovePersistentLoginRequest: |this| {
        rules::initiator(this.initiator.as_ref())?;
        rules::target_name(&this.target_name)?;
        this.portal.as_ref().map_or(Ok(()), rules::portal_identity)
    };

    /// §2.5.
    BindRequest: |this| rules::path(&this.path);
    /// §2.5.
    UnbindRequest: |this| rules::path(&this.path);

    /// §2.6.
    InquiryRequest: |this| rules::nexus(this.nexus.as_ref());
    /// §2.6.
    ReadCapacityRequest: |this| rules::nexus(this.nexus.as_ref());
    /// §2.6.
    ReportLunsRequest: |this| rules::nexus(this.nexus.as_ref());

    /// §2.7.
    SetChapSecretRequest: |this| rules::initiator_secret(this.secret.as_ref());
    /// §2.7.
    SetGroupPresharedKeyRequest: |this| rules::key(this.key.as_ref());
    /// §2.7.
    SetIkeInfoRequest: |this| {
        rules::initiator(this.initiator.as_ref())?;
        rules::auth_method(this.auth_method)?;
        rules::ike_identity(this.identity.as_ref())?;
        rules::security_flags(this.security_flags)?;
        rules::key(this.key.as_ref())
    };
    /// §2.7.
    GetIkeInfoRequest: |this| {
        rules::initiator(this.initiator.as_ref())?;
        rules::auth_method(this.auth_method)?;
        rules::ike_identity(this.identity.as_ref())
    };
    /// §2.7.
    SetTunnelAddressRequest: |this| {
        rules::initiator(this.initiator.as_ref())?;
        rules::optional_server(&this.destination_address)?;
        rules::outer_address(&this.outer_address)
    };

    /// §2.8.
    AddIsnsServerRequest: |this| rules::server_address(&this.address);
    /// §2.8.
    RemoveIsnsServerRequest: |this| rules::server_address(&this.address);
    /// §2.8; empty: all servers.
    RefreshIsnsServersRequest: |this| rules::optional_server(&this.address);

    /// §2.9.
    AddRadiusServerRequest: |this| rules::radius_address(&this.address);
    /// §2.9.
    RemoveRadiusServerRequest: |this| rules::radius_address(&this.address);
    /// §2.9.
    SetRadiusSecretRequest: |this| rules::radius_secret(this.secret.as_ref());
}

fn given(options: Option<&LoginOptions>) -> Result<(), Failure> {
    options.map_or(Ok(()), Check::check)
}

/// `what` is told if it does not hold.
fn ensure(holds: bool, status: Status, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::new(status, what()))
    }
}

#[cfg(test)]
mod tests;
