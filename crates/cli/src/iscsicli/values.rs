//! Reads the words of a command by the kinds of its parameters.

use std::collections::VecDeque;

use hawser_api::discovery_library::portal_address;
use hawser_api::v1::{
    ConnectionId, InitiatorPort, LoginOptions, Portal, Secret, SessionId, TargetMapping,
};
use hawser_api::{DEFAULT_PORT, Failure, Status};

use super::options;
use super::stop::Stop;
use super::words::{self, Number};

/// What a word, or several, of a command mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text as it stands.
    Name,
    /// Text; `*`: none.
    Text,
    /// Address of a portal.
    Address,
    /// Address of a portal; `*`: none.
    AddressOrAny,
    /// TCP port of a portal; 0: the default port. It is read only if there is an address.
    Socket,
    /// TCP port of a portal; `*`: none. It is read only if there is an address.
    SocketOrAny,
    /// A number.
    Number,
    /// A number of one byte.
    Byte,
    /// Port number of the initiator; `*`: any.
    Port,
    /// A truth value with its default.
    Flag(bool),
    /// User name of a quick form; `*` and `-`: empty.
    QuickUser,
    /// Secret of a quick form; `*` and `-`: empty.
    QuickSecret,
    /// The initiator's secret; `*`: none.
    Secret,
    /// Key whose length includes a NUL; `*`: none.
    KeyWithNul,
    /// Key; `*`: none.
    Key,
    /// Session id. A wrong one is told by a line of its own.
    SessionId,
    /// Session id. A wrong one shows the usage.
    SessionIdOrUsage,
    /// Connection id. A wrong one shows the usage.
    ConnectionId,
    /// LUN in bare hexadecimal digits.
    Lun,
    /// The nine login options.
    LoginOptions,
    /// Number of mappings, then four words each.
    Mappings,
}

impl Kind {
    /// Words that it takes; of [`Kind::Mappings`] those that are always there.
    pub(super) const fn words(self) -> usize {
        match self {
            Self::LoginOptions => options::POSITIONS.len(),
            _ => 1,
        }
    }
}

/// The value of a parameter.
#[derive(Debug)]
enum Value {
    Text(Option<String>),
    Number(Option<u32>),
    /// The word that is a socket if there is an address, and the name of its parameter; none for `*`.
    Socket(Option<(String, &'static str)>),
    Flag(bool),
    Secret(Option<Secret>),
    Session(SessionId),
    Connection(ConnectionId),
    Lun(u64),
    Options(Option<Box<LoginOptions>>),
    Mapping(Option<TargetMapping>),
    /// An optional parameter that was not given.
    Absent,
}

/// The values of a command's parameters, in their order. What makes a request of them takes one after
/// the other; an absent one is the default of its kind.
#[derive(Debug, Default)]
pub(super) struct Values {
    values: VecDeque<Value>,
    /// What a person should know about how the words were read.
    pub(super) notes: Vec<String>,
}

macro_rules! takers {
    ($($(#[$doc:meta])* $name:ident: $kind:ty, $pattern:pat => $value:expr, $default:expr;)*) => {
        impl Values {
            $(
                $(#[$doc])*
                pub(super) fn $name(&mut self) -> $kind {
                    match self.values.pop_front() {
                        Some($pattern) => $value,
                        Some(Value::Absent) => $default,
                        other => {
                            debug_assert!(false, "no {}: {other:?}", stringify!($name));
                            $default
                        }
                    }
                }
            )*
        }
    };
}

takers! {
    /// A text, or none.
    text: Option<String>, Value::Text(text) => text, None;
    /// A number, or none where `*` means that.
    number: Option<u32>, Value::Number(number) => number, None;
    /// The word of a socket with its parameter's name, or none.
    socket: Option<(String, &'static str)>, Value::Socket(socket) => socket, None;
    /// A truth value.
    flag: bool, Value::Flag(flag) => flag, false;
    /// A secret or key, or none.
    secret: Option<Secret>, Value::Secret(secret) => secret, None;
    /// A session id.
    session_id: SessionId, Value::Session(id) => id, SessionId::default();
    /// A connection id.
    connection_id: ConnectionId, Value::Connection(id) => id, ConnectionId::default();
    /// A LUN in the form of `Disk.lun`.
    lun: u64, Value::Lun(lun) => lun, 0;
    /// Login options; none if nothing was specified, so that stored ones count.
    login_options: Option<LoginOptions>, Value::Options(options) => options.map(|o| *o), None;
    /// A mapping, or none.
    mapping: Option<TargetMapping>, Value::Mapping(mapping) => mapping, None;
}

impl Values {
    /// A text that must be there.
    pub(super) fn name(&mut self) -> String {
        self.text().unwrap_or_default()
    }

    /// An initiator instance and then a port number of it.
    pub(super) fn initiator(&mut self) -> InitiatorPort {
        InitiatorPort {
            instance: self.name(),
            port_number: self.number(),
            source_address: None,
        }
    }

    /// Address and socket of a portal; none unless both are given. Beside an address that is not, the socket is not
    /// looked at.
    ///
    /// # Errors
    /// The socket can be no number.
    pub(super) fn portal(&mut self) -> Result<Option<Portal>, Stop> {
        let (address, socket) = (self.text(), self.socket());
        let (Some(address), Some((word, name))) = (address, socket) else {
            return Ok(None);
        };
        let socket = self.plain_number(name, &word)?;
        Ok(Some(portal(address, socket)))
    }

    /// The same where both must be given or neither.
    ///
    /// # Errors
    /// One of them is given and the other not; the socket can be no number.
    pub(super) fn whole_portal(&mut self) -> Result<Option<Portal>, Stop> {
        let given = |value: Option<&Value>| {
            matches!(value, Some(Value::Text(Some(_)) | Value::Socket(Some(_))))
        };
        if given(self.values.front()) != given(self.values.get(1)) {
            let line = "Portal address and socket must be specified";
            let why = "one of them is * and the other not";
            return Err(Stop::invalid_line(line, why));
        }
        self.portal()
    }

    /// Whether every value was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds the default of a parameter that was not given.
    pub(super) fn absent(&mut self, kind: Kind) {
        let value = match kind {
            Kind::Flag(default) => Value::Flag(default),
            _ => Value::Absent,
        };
        self.values.push_back(value);
    }

    /// Reads one parameter from the front of `words`, which has enough of them.
    ///
    /// # Errors
    /// The words cannot be that.
    pub(super) fn read(
        &mut self,
        name: &'static str,
        kind: Kind,
        words: &mut &[String],
    ) -> Result<(), Stop> {
        let missing = || Stop::Usage(format!("{name} is missing"));
        let (own, rest) = words.split_at_checked(kind.words()).ok_or_else(missing)?;
        *words = rest;
        let value = match kind {
            Kind::LoginOptions => {
                Value::Options(options::read(own, &mut self.notes)?.map(Box::new))
            }
            Kind::Mappings => {
                let count = own.first().map_or("", String::as_str);
                let count = self.plain_number(name, count)?;
                let taken = options::mapping(count, words, &mut self.notes)?;
                Value::Mapping(taken)
            }
            _ => self.one(name, kind, own.first().map_or("", String::as_str))?,
        };
        self.values.push_back(value);
        Ok(())
    }

    /// Reads a parameter of one word.
    fn one(&mut self, name: &'static str, kind: Kind, word: &str) -> Result<Value, Stop> {
        let or_none = |word: &str| (!words::is_default(word)).then(|| word.to_owned());
        Ok(match kind {
            Kind::Name => Value::Text(Some(word.to_owned())),
            Kind::Text => Value::Text(or_none(word)),
            Kind::Address => Value::Text(Some(checked_address(name, word)?)),
            Kind::AddressOrAny => Value::Text(match or_none(word) {
                Some(word) => Some(checked_address(name, &word)?),
                None => None,
            }),
            Kind::Port if words::is_default(word) => Value::Number(None),
            Kind::Socket => Value::Socket(Some((word.to_owned(), name))),
            Kind::SocketOrAny => Value::Socket(or_none(word).map(|word| (word, name))),
            Kind::Byte => Value::Number(Some(self.byte(name, word)?)),
            Kind::Number | Kind::Port => Value::Number(Some(self.plain_number(name, word)?)),
            Kind::Flag(default) => Value::Flag(self.truth(name, word, default)),
            Kind::QuickUser => Value::Text(Some(quick(word).unwrap_or_default().to_owned())),
            Kind::QuickSecret => Value::Secret(Some(secret(quick(word).unwrap_or_default())?)),
            Kind::Secret if words::is_default(word) => Value::Secret(None),
            Kind::Secret => Value::Secret(Some(secret(word)?)),
            Kind::Key | Kind::KeyWithNul => {
                Value::Secret(or_none(word).map(|key| key_of(kind, key)))
            }
            Kind::SessionId => Value::Session(words::session_id(word).ok_or_else(|| {
                let line = format!("Invalid sessionid: {}", super::page::shown(word));
                Stop::invalid_line(&line, "a session id is 0xHEX-0xHEX")
            })?),
            Kind::SessionIdOrUsage => {
                Value::Session(words::session_id(word).ok_or_else(|| {
                    Stop::Usage(format!("{word} is not a session id (0xHEX-0xHEX)"))
                })?)
            }
            Kind::ConnectionId => {
                Value::Connection(words::connection_id(word).ok_or_else(|| {
                    Stop::Usage(format!("{word} is not a connection id (0xHEX-0xHEX)"))
                })?)
            }
            Kind::Lun => Value::Lun(words::bare_lun(word).ok_or_else(|| {
                let line = format!("Invalid LUN: {}", super::page::shown(word));
                Stop::invalid_line(&line, "a LUN is hexadecimal digits without 0x")
            })?),
            Kind::LoginOptions | Kind::Mappings => Value::Absent,
        })
    }

    /// A number. A text that is none counts as 0, as on Windows; stderr tells of it.
    fn plain_number(&mut self, name: &str, word: &str) -> Result<u32, Stop> {
        number(name, word, &mut self.notes)
    }

    fn byte(&mut self, name: &str, word: &str) -> Result<u32, Stop> {
        let value = self.plain_number(name, word)?;
        if value > u32::from(u8::MAX) {
            return Err(Stop::invalid(format!("{name} is 255 at most")));
        }
        Ok(value)
    }

    fn truth(&mut self, name: &str, word: &str, default: bool) -> bool {
        if words::looks_true(word) {
            let note =
                format!("{name}: {word} counts as false; only a word that begins with t is true");
            self.notes.push(note);
        }
        words::flag(word, default)
    }
}

/// A number of a parameter; what is none counts as far as it is one, with a note unless it asks for the default.
pub(super) fn number(name: &str, word: &str, notes: &mut Vec<String>) -> Result<u32, Stop> {
    let value = match words::number(word)? {
        Number::Whole(value) => return Ok(value),
        Number::Begins(value) => value,
        Number::None => 0,
    };
    if !words::is_default(word) {
        let note = format!("{name}: {word} is not a number and counts as {value}");
        notes.push(note);
    }
    Ok(value)
}

/// A portal; socket 0 is the default port.
pub(super) fn portal(address: String, socket: u32) -> Portal {
    let port = if socket == 0 {
        DEFAULT_PORT.into()
    } else {
        socket
    };
    Portal {
        address,
        port,
        symbolic_name: String::new(),
    }
}

/// An address must be one even where its portal is left out, for want of a socket.
fn checked_address(name: &str, word: &str) -> Result<String, Stop> {
    if word.is_empty() {
        return Err(Stop::invalid(format!("{name} has no character")));
    }
    portal_address(word)?;
    Ok(word.to_owned())
}

/// A word of a quick form, unless it means "empty".
fn quick(word: &str) -> Option<&str> {
    let empty = words::is_default(word) || words::is_empty_mark(word);
    (!empty).then_some(word)
}

fn secret(word: &str) -> Result<Secret, Stop> {
    words::secret(word).ok_or_else(|| {
        let why = "a secret after 0x has two hexadecimal digits a byte";
        Failure::new(Status::ERROR_INVALID_PARAMETER, why).into()
    })
}

/// A key. Those of groups and logins are sent with the NUL that ends them on Windows.
fn key_of(kind: Kind, key: String) -> Secret {
    let mut bytes = key.into_bytes();
    if kind == Kind::KeyWithNul {
        bytes.push(0);
    }
    Secret::new(bytes)
}
