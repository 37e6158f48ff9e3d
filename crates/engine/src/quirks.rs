//! Targets that are known to break on what they agree to.

use hawser_proto::login::{LoggedIn, Offers};
use hawser_proto::names::IscsiName;
use hawser_proto::parameters::Parameters;

/// What LIO, the target of the Linux kernel, calls itself unless its owner gives it another alias.
const LIO_ALIAS: &str = "LIO Target";

/// How LIO's tools begin the names that they make up.
const LIO_NAMES: &str = "iqn.2003-01.org.linux-iscsi.";

/// Seconds after which LIO has looked at connections that its peer has closed.
const LIO_TIME2WAIT: u16 = 4;

/// The target is LIO, as far as it tells.
pub(crate) fn is_lio(target: &IscsiName, login: &LoggedIn) -> bool {
    login.target_alias.as_deref() == Some(LIO_ALIAS) || target.as_str().starts_with(LIO_NAMES)
}

/// Offers what LIO's kernel (6.1, 6.12) survives; docs/testing-vm.md says what was seen. A command that outlives its
/// connection, as at level 2, has it follow a pointer into the connection; at level 1 it drops a reference too many
/// when it asks for damaged data again. A session of several connections that is made again sooner than it looks at
/// the closed ones has it run through a list that changes meanwhile. A level that was asked for stays.
pub(crate) fn spare_lio(offers: &mut Offers, level_is_pinned: bool) {
    if !level_is_pinned {
        offers.error_recovery_level = 0;
        offers.data_sequence_in_order = true;
    }
    if offers.max_connections > 1 {
        offers.time2wait = offers.time2wait.max(LIO_TIME2WAIT);
    }
}

/// What was agreed on is no more than these offers ask for.
pub(crate) fn keeps_to(agreed: &Parameters, offers: &Offers) -> bool {
    agreed.error_recovery_level <= offers.error_recovery_level
        && (agreed.max_connections <= 1 || agreed.time2wait >= offers.time2wait)
}
