//! Login options: what `ISCSI_LOGIN_OPTIONS` says, as optional fields (§1.9, §3.3).

use hawser_api::discovery_library::{self, Check, max_connections};
use hawser_api::{Failure, v1};

use super::{Secret, Status};

/// `ISCSI_LOGIN_OPTIONS_VERSION`.
pub const LOGIN_OPTIONS_VERSION: u32 = 0;

/// Bits of `InformationSpecified` (§3.2).
pub mod specified {
    /// `HeaderDigest` counts.
    pub const HEADER_DIGEST: u32 = 0x01;
    /// `DataDigest` counts.
    pub const DATA_DIGEST: u32 = 0x02;
    /// `MaximumConnections` counts.
    pub const MAXIMUM_CONNECTIONS: u32 = 0x04;
    /// `DefaultTime2Wait` counts.
    pub const DEFAULT_TIME_2_WAIT: u32 = 0x08;
    /// `DefaultTime2Retain` counts.
    pub const DEFAULT_TIME_2_RETAIN: u32 = 0x10;
    /// `Username` counts.
    pub const USERNAME: u32 = 0x20;
    /// `Password` counts.
    pub const PASSWORD: u32 = 0x40;
    /// `AuthType` counts.
    pub const AUTH_TYPE: u32 = 0x80;
}

/// `ISCSI_AUTH_TYPES` (§3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum AuthType {
    /// No authentication.
    None = 0,
    /// The target asks us.
    Chap = 1,
    /// Each asks the other.
    MutualChap = 2,
}

/// `ISCSI_DIGEST_TYPES` (§3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum DigestType {
    /// None.
    None = 0,
    /// CRC32C.
    Crc32c = 1,
}

/// `ISCSI_LOGIN_OPTIONS` as optional fields: `None` was not specified. In reports the password is never given;
/// `password_set` says that there is one (§1.9).
#[derive(Debug, Clone, Default)]
pub struct LoginOptions {
    /// `ISCSI_LOGIN_FLAGS`; always counts.
    pub login_flags: u32,
    /// Authentication.
    pub auth_type: Option<AuthType>,
    /// Header digest.
    pub header_digest: Option<DigestType>,
    /// Data digest.
    pub data_digest: Option<DigestType>,
    /// MaxConnections; 0: no limit.
    pub maximum_connections: Option<u32>,
    /// DefaultTime2Wait in seconds.
    pub default_time2wait: Option<u32>,
    /// DefaultTime2Retain in seconds.
    pub default_time2retain: Option<u32>,
    /// CHAP name that we send, raw bytes. Empty: the initiator's node name.
    pub username: Option<Vec<u8>>,
    /// The target's CHAP secret; input only.
    pub password: Option<Secret>,
    /// Such a secret is stored; output only.
    pub password_set: bool,
}

/// Passwords do not count: they cannot be compared, and reports never have one.
impl PartialEq for LoginOptions {
    fn eq(&self, other: &Self) -> bool {
        let fields = |options: &Self| {
            (
                options.login_flags,
                options.auth_type,
                options.header_digest,
                options.data_digest,
                options.maximum_connections,
                options.default_time2wait,
                options.default_time2retain,
            )
        };
        let holds_secret = |options: &Self| options.password.is_some() || options.password_set;
        fields(self) == fields(other)
            && self.username == other.username
            && holds_secret(self) == holds_secret(other)
    }
}

impl Eq for LoginOptions {}

/// The fields of `ISCSI_LOGIN_OPTIONS` as they stand in C, before they are judged.
#[derive(Debug, Clone, Default)]
pub struct RawLoginOptions {
    /// `Version`.
    pub version: u32,
    /// `InformationSpecified`.
    pub information_specified: u32,
    /// `LoginFlags`.
    pub login_flags: u32,
    /// `AuthType`.
    pub auth_type: u32,
    /// `HeaderDigest`.
    pub header_digest: u32,
    /// `DataDigest`.
    pub data_digest: u32,
    /// `MaximumConnections`.
    pub maximum_connections: u32,
    /// `DefaultTime2Wait`.
    pub default_time2wait: u32,
    /// `DefaultTime2Retain`.
    pub default_time2retain: u32,
    /// The bytes of `Username`; read only if its bit is set.
    pub username: Vec<u8>,
    /// The bytes of `Password`; read only if its bit is set.
    pub password: Option<Secret>,
}

impl TryFrom<RawLoginOptions> for LoginOptions {
    type Error = Status;

    /// Judges the fields whose bits are set (§1.9).
    ///
    /// A version other than 0 is `ERROR_INVALID_PARAMETER`, as is a bit that is not defined; an authentication
    /// type that is none `ISDSC_INVALID_LOGON_AUTH_TYPE`; another value out of its range
    /// `ISDSC_LOGIN_USER_INFO_BAD`.
    fn try_from(raw: RawLoginOptions) -> Result<Self, Status> {
        if raw.version != LOGIN_OPTIONS_VERSION || raw.information_specified > 0xff {
            return Err(Status::ERROR_INVALID_PARAMETER);
        }
        let has = |bit| raw.information_specified & bit != 0;
        let field = |bit, value| has(bit).then_some(value);
        let auth_type = field(specified::AUTH_TYPE, raw.auth_type).map(auth_type_of);
        let header_digest = field(specified::HEADER_DIGEST, raw.header_digest).map(digest_of);
        let data_digest = field(specified::DATA_DIGEST, raw.data_digest).map(digest_of);
        let password = raw.password.unwrap_or_else(|| Secret::new([]));
        let options = Self {
            login_flags: raw.login_flags,
            auth_type: auth_type.transpose()?,
            header_digest: header_digest.transpose()?,
            data_digest: data_digest.transpose()?,
            maximum_connections: field(specified::MAXIMUM_CONNECTIONS, raw.maximum_connections),
            default_time2wait: field(specified::DEFAULT_TIME_2_WAIT, raw.default_time2wait),
            default_time2retain: field(specified::DEFAULT_TIME_2_RETAIN, raw.default_time2retain),
            username: has(specified::USERNAME).then_some(raw.username),
            password: has(specified::PASSWORD).then_some(password),
            password_set: false,
        };
        let wire = options.clone().into_wire();
        let checked = wire.check().map(|()| options);
        checked.map_err(|failure: Failure| failure.status)
    }
}

fn auth_type_of(value: u32) -> Result<AuthType, Status> {
    let known = discovery_library::auth_type(value).map(AuthType::from);
    known.map_err(|failure| failure.status)
}

fn digest_of(value: u32) -> Result<DigestType, Status> {
    let known = discovery_library::digest(value).map(DigestType::from);
    known.map_err(|failure| failure.status)
}

impl From<v1::AuthType> for AuthType {
    fn from(of: v1::AuthType) -> Self {
        match of {
            v1::AuthType::None => Self::None,
            v1::AuthType::Chap => Self::Chap,
            v1::AuthType::MutualChap => Self::MutualChap,
        }
    }
}

impl From<v1::Digest> for DigestType {
    fn from(of: v1::Digest) -> Self {
        match of {
            v1::Digest::None => Self::None,
            v1::Digest::Crc32c | v1::Digest::PreferCrc32c => Self::Crc32c,
        }
    }
}

impl LoginOptions {
    /// `InformationSpecified` of a report: the bits of the fields that are there. The password's bit says that
    /// one is stored, though it is not given (§2.2).
    #[must_use]
    pub fn information_specified(&self) -> u32 {
        let bits = [
            (self.header_digest.is_some(), specified::HEADER_DIGEST),
            (self.data_digest.is_some(), specified::DATA_DIGEST),
            (
                self.maximum_connections.is_some(),
                specified::MAXIMUM_CONNECTIONS,
            ),
            (
                self.default_time2wait.is_some(),
                specified::DEFAULT_TIME_2_WAIT,
            ),
            (
                self.default_time2retain.is_some(),
                specified::DEFAULT_TIME_2_RETAIN,
            ),
            (self.username.is_some(), specified::USERNAME),
            (
                self.password.is_some() || self.password_set,
                specified::PASSWORD,
            ),
            (self.auth_type.is_some(), specified::AUTH_TYPE),
        ];
        bits.iter()
            .filter(|(there, _)| *there)
            .fold(0, |all, (_, bit)| all | bit)
    }

    pub(crate) fn into_wire(self) -> v1::LoginOptions {
        let digest = |digest: DigestType| match digest {
            DigestType::None => v1::Digest::None.into(),
            DigestType::Crc32c => v1::Digest::Crc32c.into(),
        };
        let auth_type = self.auth_type.map(|auth| match auth {
            AuthType::None => v1::AuthType::None.into(),
            AuthType::Chap => v1::AuthType::Chap.into(),
            AuthType::MutualChap => v1::AuthType::MutualChap.into(),
        });
        v1::LoginOptions {
            login_flags: self.login_flags,
            auth_type,
            header_digest: self.header_digest.map(digest),
            data_digest: self.data_digest.map(digest),
            max_connections: self.maximum_connections.map(max_connections),
            default_time2wait_s: self.default_time2wait,
            default_time2retain_s: self.default_time2retain,
            username: self.username,
            secret: self.password.map(Secret::into_wire),
            ..v1::LoginOptions::default()
        }
    }
}

impl From<v1::LoginOptions> for LoginOptions {
    /// Of a report.
    fn from(options: v1::LoginOptions) -> Self {
        // What a newer daemon may say beside what we know is told as none.
        let digest =
            |value: i32| v1::Digest::try_from(value).map_or(DigestType::None, DigestType::from);
        let auth_type =
            |value: i32| v1::AuthType::try_from(value).map_or(AuthType::None, AuthType::from);
        Self {
            login_flags: options.login_flags,
            auth_type: options.auth_type.map(auth_type),
            header_digest: options.header_digest.map(digest),
            data_digest: options.data_digest.map(digest),
            maximum_connections: options.max_connections,
            default_time2wait: options.default_time2wait_s,
            default_time2retain: options.default_time2retain_s,
            username: options.username,
            password: None,
            password_set: options.secret_set,
        }
    }
}

#[cfg(test)]
mod tests;
