//! The calls of the library for Rust programs: owned types, `Result<_, Status>`.
//!
//! [`Library`] has a method for each call family of the Discovery Library; the section in its documentation is
//! that of the fact sheet on `iscsidsc.h`. Each request is checked before the daemon is asked
//! ([`hawser_api::discovery_library`]), so that Rust, C and Python programs and the users of `iscsicli` are told the same.
//!
//! ```no_run
//! use iscsidsc::api::{InitiatorPort, Library, Login, Portal};
//!
//! let library = Library::new();
//! let portal = Portal::new("192.0.2.10", 3260);
//! library.add_send_target_portal(&InitiatorPort::any(), None, 0, &portal)?;
//! for target_name in library.targets(false)? {
//!     library.login(Login { target_name, ..Login::default() })?;
//! }
//! # Ok::<(), iscsidsc::api::Status>(())
//! ```

mod calls;
mod convert;
mod discovery;
mod initiator;
mod isns;
mod options;
mod persistent_devices;
mod persistent_logins;
mod radius;
mod scsi;
mod security;
mod sessions;
mod targets;
mod types;

use std::path::Path;
use std::sync::Arc;

use crate::client::Connector;

pub use hawser_api::Status;
pub use options::{
    AuthType, DigestType, LOGIN_OPTIONS_VERSION, LoginOptions, RawLoginOptions, specified,
};
pub use types::{
    ANY_PORT, ConnectionId, ConnectionInfo, ConnectionInfoEx, Device, IkeIdentity, IkeInfo,
    InformationClass, InitiatorPort, InterfaceType, LoggedIn, Login, LunMapping, NewConnection,
    Outcome, PersistentLogin, Portal, PortalGroup, ScsiAddress, ScsiAnswer, Secret,
    SendTargetPortal, SessionId, SessionInfo, SessionInfoEx, StaticTarget, StorageDeviceNumber,
    TargetInformation, TargetMapping, Version,
};

/// The daemon that the environment names; all that uses it shares one connection.
static OF_ENVIRONMENT: Connector = Connector::of_environment();

/// The library: a way to one daemon. Cloning is cheap; any number of threads may use one at once, also after
/// `fork()`.
///
/// Every method blocks until the call is done (§1.10), at most until its deadline: seconds for one that only reads
/// what the daemon knows, minutes for one that talks to targets. Every method can fail with
/// `ISDSC_SERVICE_NOT_RUNNING`, `ERROR_ACCESS_DENIED`, `ERROR_TIMEOUT` and `ERROR_NOT_ENOUGH_MEMORY` besides
/// what it says (§1.2). Warnings are no failures: they come in an [`Outcome`].
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// `None`: [`OF_ENVIRONMENT`].
    own: Option<Arc<Connector>>,
}

impl Library {
    /// The daemon that `HAWSER_SOCKET` names, else this user's, else the system's, as with the program `hawser`.
    /// A program with more rights than its caller (set-user-ID) always gets the system's.
    #[must_use]
    pub const fn new() -> Self {
        Self { own: None }
    }

    /// The daemon on this socket.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self {
            own: Some(Arc::new(Connector::to(socket.to_owned()))),
        }
    }

    fn connector(&self) -> &Connector {
        self.own.as_deref().unwrap_or(&OF_ENVIRONMENT)
    }
}

/// Makes a call of the contract, if its request passes the library's checks:
/// `ask!(self, calls::BIND, volumes.bind, request)`.
macro_rules! ask {
    ($library:expr, $call:expr, $service:ident . $method:ident, $request:expr) => {{
        let message = $request;
        let call = $call;
        hawser_api::discovery_library::Check::check(&message)
            .and_then(|()| {
                $library.connector().call(call, move |client| {
                    let request = call.request(message.clone());
                    async move { client.$service().$method(request).await }
                })
            })
            .map_err(|failure| failure.status)
    }};
}
use ask;
