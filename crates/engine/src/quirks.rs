//! Targets that are known to break on what they agree to.

use hawser_proto::login::LoggedIn;
use hawser_proto::names::IscsiName;

/// What LIO, the target of the Linux kernel, calls itself unless its owner gives it another alias.
const LIO_ALIAS: &str = "LIO Target";

/// How LIO's tools begin the names that they make up.
const LIO_NAMES: &str = "iqn.2003-01.org.linux-iscsi.";

/// The target breaks on error recovery that it has agreed to. LIO's kernel (6.1, 6.12) follows a pointer into
/// the lost connection when a reassigned task ends, and drops a command once too often when it asks for
/// damaged solicited data again: it agrees to a level only where its owner has set `default_erl`.
pub(crate) fn breaks_on_recovery(target: &IscsiName, login: &LoggedIn) -> bool {
    login.target_alias.as_deref() == Some(LIO_ALIAS) || target.as_str().starts_with(LIO_NAMES)
}
