//! The engine against tgt, a target that nobody here wrote.

mod faults;
mod io;
mod login;

use std::time::Duration;

use hawser_engine::{IscsiName, Isid, LoginOptions, Portal, Session, SessionOptions};
use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd};

const TARGET: &str = "iqn.2026-11.test.hawser:tgt";
const INITIATOR: &str = "iqn.2026-11.test.hawser:initiator";
const MIB: u64 = 1 << 20;

/// How long anything in these tests may take.
const LIMIT: Duration = Duration::from_secs(60);

fn login_options() -> LoginOptions {
    LoginOptions::new(IscsiName::parse(INITIATOR).unwrap())
}

fn options(server: &Tgtd, login: LoginOptions) -> SessionOptions {
    let target = IscsiName::parse(TARGET).unwrap();
    let isid = Isid::from_random([1, 2, 3, 4, 5]);
    let mut options = SessionOptions::new(login, target, Portal::from(server.portal()), isid);
    options.timeouts.backoff_first = Duration::from_millis(100);
    options.timeouts.backoff_longest = Duration::from_millis(500);
    options
}

fn serve(target: TgtTarget) -> Tgtd {
    Tgtd::start(TgtConfig::new().target(target)).expect("tgtd starts")
}

fn disks(count: usize) -> TgtTarget {
    TgtTarget::new(TARGET).disks(count, 64 * MIB)
}

/// Opens a session and waits until it is up.
async fn up(server: &Tgtd, login: LoginOptions) -> Session {
    let session = Session::open(options(server, login));
    tokio::time::timeout(LIMIT, session.established())
        .await
        .expect("in time")
        .expect("logged in");
    session
}
