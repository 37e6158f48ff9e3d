//! The login phase of a connection: carries what [`crate::login`] decides over the socket.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hawser_proto::parameters::{DEFAULT_MAX_RECV_DATA_SEGMENT_LENGTH, Parameters};
use hawser_proto::pdu::{
    BasicHeader, Bhs, LoginRequest, LoginResponse, LoginStatus, Opcode, Pdu, Response,
    SequenceNumbers,
};
use tokio::io::AsyncWriteExt;

use super::mailbox::Mailbox;
use super::reader::{Handler, Lender, Reader};
use super::{Ends, Entered, Stream};
use crate::login::{Login, Peer, RANDOM_BYTES, Step, refuse};
use crate::registry::Ticket;
use crate::session::{Incoming, Link, Seat, SessionKey, Shared, Sink};

/// How long a login may take in all: an initiator waits 15 seconds for one answer.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The StatSN of the first response; any value will do (RFC 7143 §11.13.4).
const FIRST_STAT_SN: u32 = 1;

/// Takes a connection through its login. `None` when it failed, and the connection is done with.
pub(super) async fn log_in<S: Stream>(
    stream: S,
    group: u16,
    ends: Ends,
    shared: &Arc<Shared>,
) -> Option<(Entered<S>, Seat)> {
    let mut random = [0; RANDOM_BYTES];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "no random bytes for a challenge");
        return None;
    }
    let (realm, faults) = (Arc::clone(&shared.realm), Arc::clone(&shared.faults));
    let phase = Phase {
        stream,
        reader: Reader::new(DEFAULT_MAX_RECV_DATA_SEGMENT_LENGTH),
        login: Login::new(realm, group, random, faults),
        shared: Arc::clone(shared),
        group,
        ends,
        judged: false,
        window: None,
        exp_stat_sn: None,
        stat_sn: FIRST_STAT_SN,
    };
    let entered = tokio::time::timeout(LOGIN_TIMEOUT, phase.run())
        .await
        .ok()
        .flatten();
    let counter = match entered {
        Some(_) => &shared.counters.logins,
        None => &shared.counters.refused_logins,
    };
    counter.add();
    entered
}

/// A PDU as it came.
struct Whole {
    header: Bhs,
    data: Vec<u8>,
}

/// A connection in the login phase.
struct Phase<S> {
    stream: S,
    reader: Reader,
    login: Login,
    shared: Arc<Shared>,
    group: u16,
    ends: Ends,
    /// Whether the registry has been asked about this login.
    judged: bool,
    /// ExpCmdSN and MaxCmdSN of the session that the connection is to join.
    window: Option<(u32, u32)>,
    /// ExpStatSN of the first request.
    exp_stat_sn: Option<u32>,
    stat_sn: u32,
}

impl<S: Stream> Phase<S> {
    async fn run(mut self) -> Option<(Entered<S>, Seat)> {
        let mut first = true;
        loop {
            let pdu = self.next_pdu().await?;
            let opcode = Opcode::try_from(BasicHeader::from_bhs(&pdu.header).opcode);
            if opcode != Ok(Opcode::LoginRequest) {
                // RFC 7143 §4.2.4: before any login the connection is closed without a word.
                if !first {
                    self.refuse_other(&pdu.header).await;
                }
                return None;
            }
            first = false;
            let request = LoginRequest::from_bhs(&pdu.header);
            self.exp_stat_sn.get_or_insert(request.exp_stat_sn.get());
            let step = self.login.handle(request, &pdu.data);
            match self.judge(request, step) {
                Step::Reply(response, text) => self.send(request, response, &text).await?,
                Step::Refuse(response, text) => {
                    self.refuse(request, response, &text).await;
                    return None;
                }
                Step::Complete(response, text, parameters) => {
                    return self.enter(request, response, text, *parameters).await;
                }
            }
        }
    }

    /// Asks the registry about the login, as soon as it is known whose it is.
    fn judge(&mut self, request: &LoginRequest, step: Step) -> Step {
        let Some(peer) = self.login.peer().filter(|_| !self.judged) else {
            return step;
        };
        if matches!(step, Step::Refuse(..)) {
            return step;
        }
        let key = key(peer, request, self.group);
        self.judged = true;
        match self.shared.registry.judge(&key, self.ticket(request)) {
            Ok(window) => {
                self.window = window;
                step
            }
            Err(status) => refuse(request, status, Vec::new()),
        }
    }

    /// Makes the connection part of its session, and answers the last request.
    async fn enter(
        mut self,
        request: &LoginRequest,
        mut response: LoginResponse,
        text: Vec<u8>,
        parameters: Parameters,
    ) -> Option<(Entered<S>, Seat)> {
        let peer = self.login.peer()?.clone();
        let key = key(&peer, request, self.group);
        let mailbox = Arc::new(Mailbox::default());
        let stat_sn = self.stat_sn.wrapping_add(1);
        let link = Link::new(
            parameters.clone(),
            stat_sn,
            self.ends.local,
            Arc::clone(&mailbox),
        );
        let shared = Arc::clone(&self.shared);
        let admitted = shared
            .registry
            .admit(&shared, key, &peer, self.ticket(request), link)
            .await;
        let session = match admitted {
            Ok(session) => session,
            Err(status) => {
                if let Step::Refuse(response, text) = refuse(request, status, Vec::new()) {
                    self.refuse(request, response, &text).await;
                }
                return None;
            }
        };
        let cid = request.cid.get();
        let seat = Seat::new(Arc::clone(&session), cid);
        // From the moment the initiator knows that it is in, no event may be missed.
        shared.faults.subscribe(cid, Arc::downgrade(&mailbox));
        response.tsih = session.tsih.into();
        let window = session.lock().numbers();
        self.send_numbered(response, &text, window).await?;
        let receiver = self.reader.receiver();
        receiver.set_digests(parameters.header_digest, parameters.data_digest);
        receiver.set_max_recv_data_segment_length(parameters.max_recv_data_segment);
        receiver.set_skip_bad_headers(session.skips_bad_headers());
        let entered = Entered {
            stream: self.stream,
            reader: self.reader,
            session,
            cid,
            mailbox,
        };
        Some((entered, seat))
    }

    /// A response in the middle of a login: the window is that of the session, if there is one already, or
    /// one command wide, the login itself.
    async fn send(
        &mut self,
        request: &LoginRequest,
        response: LoginResponse,
        text: &[u8],
    ) -> Option<()> {
        let number = request.cmd_sn.get();
        let window = self.window.unwrap_or((number, number));
        self.send_numbered(response, text, window).await
    }

    async fn send_numbered(
        &mut self,
        mut response: LoginResponse,
        text: &[u8],
        (exp_cmd_sn, max_cmd_sn): (u32, u32),
    ) -> Option<()> {
        let numbers = SequenceNumbers {
            stat_sn: self.stat_sn,
            exp_cmd_sn,
            max_cmd_sn,
        };
        response.set_sequence_numbers(numbers);
        self.stat_sn = self.stat_sn.wrapping_add(1);
        let mut bytes = response.as_bhs().to_vec();
        bytes.extend_from_slice(text);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        self.stream.write_all(&bytes).await.ok()
    }

    /// Sends a refusal, and closes our half so that it arrives.
    async fn refuse(&mut self, request: &LoginRequest, response: LoginResponse, text: &[u8]) {
        tracing::info!(peer = %self.ends.peer, status = %response.status(), "login refused");
        if self.send(request, response, text).await.is_some() {
            let _ = self.stream.shutdown().await;
        }
    }

    /// RFC 7143 §4.2.4: another PDU in the middle of a login is answered with "invalid during
    /// login".
    async fn refuse_other(&mut self, header: &Bhs) {
        let mut request = LoginRequest::default();
        request.itt = BasicHeader::from_bhs(header).itt;
        let step = refuse(&request, LoginStatus::INVALID_DURING_LOGIN, Vec::new());
        if let Step::Refuse(response, text) = step {
            self.refuse(&request, response, &text).await;
        }
    }

    fn ticket(&self, request: &LoginRequest) -> Ticket {
        Ticket {
            tsih: request.tsih.get(),
            cid: request.cid.get(),
            cmd_sn: request.cmd_sn.get(),
            exp_stat_sn: self.exp_stat_sn,
        }
    }

    /// The next PDU; `None` when there is none.
    async fn next_pdu(&mut self) -> Option<Whole> {
        loop {
            let mut collector = Collector(None);
            self.reader.drain(&mut collector).ok()?;
            if let Some(pdu) = collector.0 {
                return Some(pdu);
            }
            let (reader, stream) = (&mut self.reader, &mut self.stream);
            let read = poll_fn(|cx| reader.poll_fill(cx, stream, &mut NoLender))
                .await
                .ok()?;
            if read == 0 {
                return None;
            }
        }
    }
}

fn key(peer: &Peer, request: &LoginRequest, group: u16) -> SessionKey {
    SessionKey {
        initiator: peer.initiator.clone(),
        isid: request.isid,
        target: peer.purpose.target().map(|target| target.name.clone()),
        group,
    }
}

/// Takes one PDU whole.
struct Collector(Option<Whole>);

impl Handler for Collector {
    fn begin(&mut self, _: &Bhs) -> Sink {
        Sink::Collect
    }

    fn store(&mut self, _: u32, _: u32, _: &[u8]) {}

    fn receive(&mut self, incoming: &Incoming<'_>) -> bool {
        self.0 = Some(Whole {
            header: *incoming.header,
            data: incoming.data.to_vec(),
        });
        false
    }
}

/// There are no tasks during login.
struct NoLender;

impl Lender for NoLender {
    fn lend(&mut self, _: u32, _: usize) -> Option<Vec<u8>> {
        None
    }

    fn give_back(&mut self, _: u32, _: Vec<u8>) {}
}
