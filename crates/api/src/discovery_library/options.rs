//! Login options (§1.9, §3.3).

use super::{Check, ensure};
use crate::v1::{AuthType, Digest, LoginOptions};
use crate::{Failure, Status};

/// Longest CHAP name: a text value of RFC 7143 section 6.1 has 255 bytes at most.
const MAX_CHAP_NAME_LEN: usize = 255;
/// Longest CHAP secret (§1.9).
pub(super) const MAX_CHAP_SECRET_LEN: usize = 16;
/// Longest DefaultTime2Wait and DefaultTime2Retain in seconds (RFC 7143 sections 13.15 and 13.16).
const MAX_TIME2_S: u32 = 3600;
/// Most connections of a session (RFC 7143 section 13.2).
const MAX_CONNECTIONS: u32 = u16::MAX as u32;

/// The digest that a number of `ISCSI_DIGEST_TYPES` means (§3.1).
///
/// # Errors
/// `ISDSC_LOGIN_USER_INFO_BAD` for one that there is not.
pub fn digest(number: u32) -> Result<Digest, Failure> {
    match number {
        0 => Ok(Digest::None),
        1 => Ok(Digest::Crc32c),
        _ => Err(bad(format!("there is no digest {number}"))),
    }
}

/// The kind of authentication that a number of `ISCSI_AUTH_TYPES` means (§3.1).
///
/// # Errors
/// `ISDSC_INVALID_LOGON_AUTH_TYPE` for one that there is not.
pub fn auth_type(number: u32) -> Result<AuthType, Failure> {
    match number {
        0 => Ok(AuthType::None),
        1 => Ok(AuthType::Chap),
        2 => Ok(AuthType::MutualChap),
        _ => {
            let what = format!("there is no authentication type {number}");
            Err(Failure::new(Status::INVALID_LOGON_AUTH_TYPE, what))
        }
    }
}

/// What a number of connections means: 0 is "no limit" (§3.3), which is the largest number that the protocol has.
#[must_use]
pub const fn max_connections(number: u32) -> u32 {
    if number == 0 { MAX_CONNECTIONS } else { number }
}

/// Ranges and lengths. A CHAP secret of 1 to 11 bytes is the daemon's to judge: its configuration says whether such
/// ones are taken.
impl Check for LoginOptions {
    fn check(&self) -> Result<(), Failure> {
        let connections = self.max_connections.unwrap_or_default();
        if connections > MAX_CONNECTIONS {
            return Err(bad(format!(
                "a session has {MAX_CONNECTIONS} connections at most"
            )));
        }
        for (name, seconds) in [
            ("DefaultTime2Wait", self.default_time2wait_s),
            ("DefaultTime2Retain", self.default_time2retain_s),
        ] {
            if seconds.is_some_and(|seconds| seconds > MAX_TIME2_S) {
                return Err(bad(format!("{name} is {MAX_TIME2_S} at most")));
            }
        }
        let name = self.username.as_deref().unwrap_or_default();
        // Raw bytes (§1.9), but a NUL would end the value of the login key.
        ensure(
            name.len() <= MAX_CHAP_NAME_LEN && !name.contains(&0),
            Status::INVALID_CHAP_USER_NAME,
            || format!("a CHAP name has {MAX_CHAP_NAME_LEN} bytes at most, none of them 0"),
        )?;
        self.check_secret()
    }
}

impl LoginOptions {
    fn check_secret(&self) -> Result<(), Failure> {
        let Some(secret) = &self.secret else {
            return Ok(());
        };
        let status = Status::INVALID_TARGET_CHAP_SECRET;
        let chap = [AuthType::Chap, AuthType::MutualChap].map(|kind| Some(i32::from(kind)));
        ensure(
            !secret.is_empty() || !chap.contains(&self.auth_type),
            status,
            || "CHAP needs the target's secret".into(),
        )?;
        ensure(secret.expose().len() <= MAX_CHAP_SECRET_LEN, status, || {
            format!("a target's CHAP secret has {MAX_CHAP_SECRET_LEN} bytes at most")
        })
    }
}

fn bad(what: String) -> Failure {
    Failure::new(Status::LOGIN_USER_INFO_BAD, what)
}
