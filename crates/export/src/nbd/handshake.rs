//! The handshake: fixed newstyle, without I/O.

use hawser_block::Geometry;

use super::error::ClientMisbehaved;
use super::wire::{self, option, option_reply, transmission_flag};

/// The longest option we take. A name is at most 4,096 bytes by the protocol; the rest leaves room
/// for a few queries of SET_META_CONTEXT.
const MAX_OPTION_LENGTH: u32 = 32 * 1024;

/// The most options in one handshake: a client needs fewer than ten.
const MAX_OPTIONS: u32 = 64;

/// Bytes of an option's header: magic, number, length.
const OPTION_HEADER: usize = 16;

/// The zeroes after the answer to EXPORT_NAME that old clients expect.
const EXPORT_NAME_PADDING: usize = 124;

/// The smallest preferred block size we name; the protocol's own default.
const PREFERRED_BLOCK_SIZE: u32 = 4096;

/// What is served, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportInfo {
    /// The export's name. The empty name is always understood too: there is only this export.
    pub name: String,
    /// One line for a human being.
    pub description: String,
}

/// What the handshake agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// Replies are structured: errors come with a text, reads in chunks.
    pub structured_replies: bool,
}

/// How far the handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes of the client are needed.
    NeedInput,
    /// Send what is left to send, then serve requests; [`Handshake::into_input`] has the first ones.
    Transmission(Negotiated),
    /// Send what is left to send, then close: the client does not want to go on.
    Closed,
}

#[derive(Debug)]
enum State {
    ExpectClientFlags,
    ExpectOption {
        fixed_newstyle: bool,
        no_zeroes: bool,
    },
    Ended(Progress),
}

/// The server's side of one handshake. Feed it with [`handle_input`](Self::handle_input), send what
/// [`poll_transmit`](Self::poll_transmit) gives before waiting for more input; the greeting is there
/// from the start.
#[derive(Debug)]
pub struct Handshake {
    export: ExportInfo,
    geometry: Geometry,
    state: State,
    structured_replies: bool,
    options: u32,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Handshake {
    /// A handshake that offers `export` of a disk of `geometry`; the geometry holds for the
    /// connection.
    #[must_use]
    pub fn new(export: ExportInfo, geometry: Geometry) -> Self {
        let mut output = Vec::new();
        output.extend(wire::NBDMAGIC.to_be_bytes());
        output.extend(wire::IHAVEOPT.to_be_bytes());
        output.extend((wire::FLAG_FIXED_NEWSTYLE | wire::FLAG_NO_ZEROES).to_be_bytes());
        Self {
            export,
            geometry,
            state: State::ExpectClientFlags,
            structured_replies: false,
            options: 0,
            input: Vec::new(),
            output,
        }
    }

    /// Takes bytes of the client, in any split.
    ///
    /// # Errors
    /// The offence after which the connection must be closed.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<Progress, ClientMisbehaved> {
        self.input.extend_from_slice(bytes);
        loop {
            let moved = match self.state {
                State::ExpectClientFlags => self.take_client_flags()?,
                State::ExpectOption {
                    fixed_newstyle,
                    no_zeroes,
                } => self.take_option(fixed_newstyle, no_zeroes)?,
                State::Ended(progress) => return Ok(progress),
            };
            if !moved {
                return Ok(Progress::NeedInput);
            }
        }
    }

    /// The bytes to send now; `None` when there are none.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        (!self.output.is_empty()).then(|| std::mem::take(&mut self.output))
    }

    /// The bytes that came after the handshake: the start of the transmission phase.
    #[must_use]
    pub fn into_input(self) -> Vec<u8> {
        self.input
    }

    fn take_client_flags(&mut self) -> Result<bool, ClientMisbehaved> {
        let mut input = self.input.as_slice();
        let Some(flags) = wire::take_u32(&mut input) else {
            return Ok(false);
        };
        let unknown = flags & !(wire::FLAG_C_FIXED_NEWSTYLE | wire::FLAG_C_NO_ZEROES);
        if unknown != 0 {
            return Err(ClientMisbehaved::UnknownClientFlags(unknown));
        }
        self.input.drain(..size_of::<u32>());
        self.state = State::ExpectOption {
            fixed_newstyle: flags & wire::FLAG_C_FIXED_NEWSTYLE != 0,
            no_zeroes: flags & wire::FLAG_C_NO_ZEROES != 0,
        };
        Ok(true)
    }

    /// Takes one whole option off the input and answers it; false when it is not all there yet.
    fn take_option(&mut self, fixed: bool, no_zeroes: bool) -> Result<bool, ClientMisbehaved> {
        let mut input = self.input.as_slice();
        let Some(magic) = wire::take_u64(&mut input) else {
            return Ok(false);
        };
        if magic != wire::IHAVEOPT {
            return Err(ClientMisbehaved::BadOptionMagic(magic));
        }
        let (Some(number), Some(length)) = (wire::take_u32(&mut input), wire::take_u32(&mut input))
        else {
            return Ok(false);
        };
        if length > MAX_OPTION_LENGTH {
            let limit = MAX_OPTION_LENGTH;
            return Err(ClientMisbehaved::OptionTooLong {
                option: number,
                length,
                limit,
            });
        }
        let Some(data) = input.get(..length as usize) else {
            return Ok(false);
        };
        let data = data.to_vec();
        self.input.drain(..OPTION_HEADER + data.len());
        self.options += 1;
        if self.options > MAX_OPTIONS {
            return Err(ClientMisbehaved::TooManyOptions(MAX_OPTIONS));
        }
        if !fixed && number != option::EXPORT_NAME {
            return Err(ClientMisbehaved::OptionWithoutFixedNewstyle(number));
        }
        self.answer(number, &data, no_zeroes)?;
        Ok(true)
    }

    fn answer(
        &mut self,
        number: u32,
        data: &[u8],
        no_zeroes: bool,
    ) -> Result<(), ClientMisbehaved> {
        match number {
            option::EXPORT_NAME => self.answer_export_name(data, no_zeroes)?,
            option::ABORT => {
                self.reply(number, option_reply::ACK, &[]);
                self.state = State::Ended(Progress::Closed);
            }
            option::LIST => self.answer_list(data),
            option::INFO | option::GO => self.answer_info(number, data),
            option::STRUCTURED_REPLY if data.is_empty() => {
                self.structured_replies = true;
                self.reply(number, option_reply::ACK, &[]);
            }
            option::STRUCTURED_REPLY => {
                self.refuse(
                    number,
                    option_reply::ERR_INVALID,
                    "the option takes no data",
                );
            }
            option::LIST_META_CONTEXT | option::SET_META_CONTEXT => {
                self.answer_meta_context(number, data);
            }
            option::STARTTLS => {
                self.refuse(
                    number,
                    option_reply::ERR_UNSUP,
                    "this server does not speak TLS",
                );
            }
            _ => self.refuse(number, option_reply::ERR_UNSUP, "unknown option"),
        }
        Ok(())
    }

    fn answer_export_name(&mut self, name: &[u8], no_zeroes: bool) -> Result<(), ClientMisbehaved> {
        if !self.is_our_name(name) {
            return Err(ClientMisbehaved::UnknownExport);
        }
        self.output.extend(self.geometry.size.to_be_bytes());
        self.output.extend(self.transmission_flags().to_be_bytes());
        if !no_zeroes {
            self.output.extend([0; EXPORT_NAME_PADDING]);
        }
        self.enter_transmission();
        Ok(())
    }

    fn answer_list(&mut self, data: &[u8]) {
        if !data.is_empty() {
            return self.refuse(
                option::LIST,
                option_reply::ERR_INVALID,
                "LIST takes no data",
            );
        }
        let name = self.export.name.clone();
        let length = u32::try_from(name.len()).unwrap_or(0).to_be_bytes();
        let entry = [&length, name.as_bytes()].concat();
        self.reply(option::LIST, option_reply::SERVER, &entry);
        self.reply(option::LIST, option_reply::ACK, &[]);
    }

    fn answer_info(&mut self, number: u32, data: &[u8]) {
        let Some((name, wanted)) = parse_info_request(data) else {
            return self.refuse(number, option_reply::ERR_INVALID, "malformed INFO or GO");
        };
        if !self.is_our_name(name) {
            let text = "no export of that name is served here";
            return self.refuse(number, option_reply::ERR_UNKNOWN, text);
        }
        let mut export = wire::info::EXPORT.to_be_bytes().to_vec();
        export.extend(self.geometry.size.to_be_bytes());
        export.extend(self.transmission_flags().to_be_bytes());
        self.reply(number, option_reply::INFO, &export);
        self.reply(number, option_reply::INFO, &self.block_size_info());
        if wanted.contains(&wire::info::NAME) {
            let name = text_info(wire::info::NAME, &self.export.name);
            self.reply(number, option_reply::INFO, &name);
        }
        if wanted.contains(&wire::info::DESCRIPTION) {
            let description = text_info(wire::info::DESCRIPTION, &self.export.description);
            self.reply(number, option_reply::INFO, &description);
        }
        self.reply(number, option_reply::ACK, &[]);
        if number == option::GO {
            self.enter_transmission();
        }
    }

    /// We know no metadata context (a disk cannot be asked cheaply what it has allocated), so a
    /// well-formed query selects none: that is an answer, not an error.
    fn answer_meta_context(&mut self, number: u32, data: &[u8]) {
        let invalid = option_reply::ERR_INVALID;
        if !self.structured_replies {
            return self.refuse(
                number,
                invalid,
                "structured replies must be agreed on first",
            );
        }
        match parse_meta_context(data) {
            None => self.refuse(number, invalid, "malformed metadata query"),
            Some(name) if !self.is_our_name(name) => {
                self.refuse(number, option_reply::ERR_UNKNOWN, "no export of that name");
            }
            Some(_) => self.reply(number, option_reply::ACK, &[]),
        }
    }

    fn enter_transmission(&mut self) {
        let structured_replies = self.structured_replies;
        self.state = State::Ended(Progress::Transmission(Negotiated { structured_replies }));
    }

    fn is_our_name(&self, name: &[u8]) -> bool {
        name.is_empty() || name == self.export.name.as_bytes()
    }

    /// What the disk can do. All connections share one device, so a flush on one covers the writes
    /// of all: that is what CAN_MULTI_CONN promises.
    fn transmission_flags(&self) -> u16 {
        use transmission_flag as flag;
        let mut flags = flag::HAS_FLAGS | flag::SEND_FLUSH | flag::SEND_FUA | flag::CAN_MULTI_CONN;
        if self.structured_replies {
            flags |= flag::SEND_DF;
        }
        if self.geometry.read_only {
            return flags | flag::READ_ONLY;
        }
        if self.geometry.can_discard {
            flags |= flag::SEND_TRIM;
        }
        flags | flag::SEND_WRITE_ZEROES | flag::SEND_FAST_ZERO
    }

    fn block_size_info(&self) -> Vec<u8> {
        let minimum = self.geometry.block_size;
        let preferred = minimum
            .max(self.geometry.physical_block_size)
            .max(PREFERRED_BLOCK_SIZE);
        let mut info = wire::info::BLOCK_SIZE.to_be_bytes().to_vec();
        for size in [minimum, preferred, wire::MAX_PAYLOAD] {
            info.extend(size.to_be_bytes());
        }
        info
    }

    fn refuse(&mut self, number: u32, reply: u32, text: &str) {
        self.reply(number, reply, text.as_bytes());
    }

    fn reply(&mut self, number: u32, reply: u32, data: &[u8]) {
        let length = u32::try_from(data.len()).unwrap_or(0);
        self.output.extend(wire::OPTION_REPLY_MAGIC.to_be_bytes());
        self.output.extend(number.to_be_bytes());
        self.output.extend(reply.to_be_bytes());
        self.output.extend(length.to_be_bytes());
        self.output.extend_from_slice(data);
    }
}

fn text_info(kind: u16, text: &str) -> Vec<u8> {
    [&kind.to_be_bytes(), text.as_bytes()].concat()
}

/// The name and the information asked for; `None` when the option is malformed.
fn parse_info_request(mut data: &[u8]) -> Option<(&[u8], Vec<u16>)> {
    let name = wire::take_string(&mut data)?;
    let count = wire::take_u16(&mut data)?;
    let mut wanted = Vec::new();
    for _ in 0..count {
        wanted.push(wire::take_u16(&mut data)?);
    }
    data.is_empty().then_some((name, wanted))
}

/// The export name of a metadata query; `None` when it is malformed.
fn parse_meta_context(mut data: &[u8]) -> Option<&[u8]> {
    let name = wire::take_string(&mut data)?;
    let queries = wire::take_u32(&mut data)?;
    for _ in 0..queries {
        wire::take_string(&mut data)?;
    }
    data.is_empty().then_some(name)
}
