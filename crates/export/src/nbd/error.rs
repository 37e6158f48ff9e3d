//! What a client can do wrong so badly that the connection ends.

/// An offence of the client after which the byte stream cannot be trusted any more: the connection
/// is closed. Requests that are merely wrong are answered with an error instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientMisbehaved {
    /// The client set handshake flags that we did not offer.
    #[error("the client answered the greeting with unknown flags {0:#x}")]
    UnknownClientFlags(u32),
    /// An option does not start with `IHAVEOPT`.
    #[error("an option starts with {0:#018x} instead of IHAVEOPT")]
    BadOptionMagic(u64),
    /// An option longer than any valid one.
    #[error("option {option} is {length} bytes long; at most {limit} are taken")]
    OptionTooLong {
        /// The option's number.
        option: u32,
        /// Its announced length in bytes.
        length: u32,
        /// The most we take.
        limit: u32,
    },
    /// The client keeps haggling.
    #[error("more than {0} options in one handshake")]
    TooManyOptions(u32),
    /// A client without fixed newstyle may send nothing but EXPORT_NAME.
    #[error("option {0} from a client that did not agree to fixed newstyle")]
    OptionWithoutFixedNewstyle(u32),
    /// EXPORT_NAME has no error reply, so an unknown name ends the connection.
    #[error("the client asked for an export that is not served here")]
    UnknownExport,
    /// A request does not start with the request magic.
    #[error("a request starts with {0:#010x} instead of the request magic")]
    BadRequestMagic(u32),
    /// A write with more payload than we announced to take.
    #[error("a write of {0} bytes; at most {MAX} are taken", MAX = super::MAX_PAYLOAD)]
    PayloadTooLong(u32),
}
