//! Where LIO is, and what it serves.

use std::net::SocketAddr;

use hawser_engine::{Isid, LoginOptions, SessionOptions};

use super::support::{name, options};

/// Where `cargo xtask vm` says the machine is.
const VARIABLE: &str = "HAWSER_LIO";

/// The targets that `tests/vm/guest/lio` makes, beside the open one of [`super::support::TARGET`].
pub(crate) const CHAP: &str = "iqn.2026-11.test.hawser:chap";
pub(crate) const MUTUAL: &str = "iqn.2026-11.test.hawser:mutual";
pub(crate) const DIGESTS: &str = "iqn.2026-11.test.hawser:digests";
/// It takes four connections into a session and agrees to any error recovery level.
pub(crate) const RECOVERY: &str = "iqn.2026-11.test.hawser:recovery";
pub(crate) const AWAY: &str = "iqn.2026-11.test.hawser:away";

/// The address at which LIO can be reached.
pub(crate) fn lio() -> SocketAddr {
    let address = std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("{VARIABLE} is not set: run `cargo xtask vm lio`"));
    address
        .parse()
        .unwrap_or_else(|error| panic!("{VARIABLE}={address}: {error}"))
}

/// Options for a session with one of the targets. Each test has an ISID of its own, so that what one leaves
/// behind is not reinstated by the next. They share the disks: they must run one after the other.
pub(crate) fn with(target: &str, isid: u8, login: LoginOptions) -> SessionOptions {
    at(lio(), target, isid, login)
}

/// The same at another address.
pub(crate) fn at(
    address: SocketAddr,
    target: &str,
    isid: u8,
    login: LoginOptions,
) -> SessionOptions {
    let mut options = options(address, login);
    options.target = name(target);
    options.isid = Isid::from_random([isid, 0, 0, 0, 0]);
    options
}
