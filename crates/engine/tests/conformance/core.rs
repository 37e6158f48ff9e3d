//! The core of the initiator alone, where the engine's options have no way to what is to be tested:
//! a login with offers of its own, a session that is driven in the test.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use hawser_engine::Isid;
use hawser_proto::login::{
    LOGIN_RANDOM_BYTES, LoggedIn, Login, LoginConfig, LoginError, LoginOutcome,
};
use hawser_proto::pdu::TaskAttribute;
use hawser_proto::session::{
    Command, Direction, Done, Established, Event, MAX_SEGMENTS, Management, Session, SessionConfig,
    TaskBuffers, TaskId, Transmit,
};
use hawser_testkit::scripted::{Peer, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{INITIATOR, TARGET, in_time, name};

/// The login of a normal session with default offers.
pub(crate) fn config() -> LoginConfig {
    LoginConfig::normal(
        name(INITIATOR),
        name(TARGET),
        Isid::from_random([1, 2, 3, 4, 5]),
    )
}

/// Logs in by `config` to a peer that answers by `script`; gives what both came to.
pub(crate) async fn log_in<T>(
    config: LoginConfig,
    script: impl AsyncFnOnce(&mut Peer) -> T,
) -> (Result<LoggedIn, LoginError>, T) {
    let target = Target::listen().await;
    let mut stream = TcpStream::connect(target.address()).await.unwrap();
    let mut peer = target.accept().await;
    let initiator = async {
        let outcome = exchange(config, &mut stream).await;
        drop(stream);
        outcome
    };
    in_time(async { tokio::join!(initiator, script(&mut peer)) }).await
}

async fn exchange(config: LoginConfig, stream: &mut TcpStream) -> Result<LoggedIn, LoginError> {
    let mut login = Login::new(config, &[7; LOGIN_RANDOM_BYTES])?;
    let mut input = vec![0; 65_536];
    loop {
        let mut output = Vec::new();
        while login.poll_transmit(&mut output) {}
        stream.write_all(&output).await.unwrap();
        let read = stream.read(&mut input).await.unwrap_or(0);
        if read == 0 {
            return Err(login.handle_close());
        }
        match login.handle_input(&input[..read])?.1 {
            Some(LoginOutcome::FullFeature(logged_in)) => return Ok(*logged_in),
            Some(redirect) => panic!("{redirect:?}"),
            None => {}
        }
    }
}

#[derive(Debug, Default)]
struct Buffers(Vec<Vec<u8>>);

impl TaskBuffers for Buffers {
    fn outgoing(&self, slot: u16) -> &[u8] {
        self.0.get(usize::from(slot)).map_or(&[], Vec::as_slice)
    }

    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        self.0
            .get_mut(usize::from(slot))
            .map_or(&mut [], Vec::as_mut_slice)
    }
}

/// A session of the core on one connection, driven by [`run`](Self::run).
pub(crate) struct Core {
    session: Session,
    stream: TcpStream,
    buffers: Buffers,
    cid: u16,
    pub(crate) login: LoggedIn,
}

impl Core {
    /// A session that is logged in by `config` to a peer that gives `answers`; its gate is open.
    pub(crate) async fn up(config: LoginConfig, answers: &[(&str, &str)]) -> (Self, Peer) {
        let target = Target::listen().await;
        let mut stream = TcpStream::connect(target.address()).await.unwrap();
        let mut peer = target.accept().await;
        let both = async { tokio::join!(exchange(config, &mut stream), peer.log_in(answers)) };
        let login = in_time(both).await.0.expect("logged in");
        let now = Instant::now();
        let settings = SessionConfig {
            ping_interval: Duration::ZERO,
            ..SessionConfig::default()
        };
        let mut session = Session::new(settings, now);
        session.handle_timeout(now);
        while session.poll_action().is_some() {}
        session.handle_logged_in(
            now,
            Established {
                cid: login.cid,
                tsih: login.tsih,
                tpgt: login.tpgt,
                parameters: login.parameters.clone(),
                cmd_sn: login.cmd_sn,
                exp_cmd_sn: login.exp_cmd_sn,
                max_cmd_sn: login.max_cmd_sn,
                exp_stat_sn: login.exp_stat_sn,
            },
        );
        assert!(session.open_gate(now));
        let core = Self {
            session,
            stream,
            buffers: Buffers::default(),
            cid: login.cid,
            login,
        };
        (core, peer)
    }

    pub(crate) fn submit(&mut self, cdb: &[u8], direction: Direction, data: &[u8]) -> TaskId {
        let mut sixteen = [0; 16];
        sixteen[..cdb.len()].copy_from_slice(cdb);
        let command = Command {
            cdb: sixteen,
            lun: [0; 8],
            direction,
            attribute: TaskAttribute::Simple,
            replay: false,
            urgent: false,
            timeout: Duration::from_secs(60),
        };
        let id = self.session.submit(Instant::now(), command, 1).unwrap();
        let slot = usize::from(id.slot());
        self.buffers
            .0
            .resize_with(self.buffers.0.len().max(slot + 1), Vec::new);
        self.buffers.0[slot] = data.to_vec();
        id
    }

    pub(crate) fn manage(&mut self, request: Management) {
        self.session.manage(Instant::now(), request).unwrap();
    }

    pub(crate) fn abort(&mut self, id: TaskId) {
        self.session.abort(Instant::now(), id).unwrap();
    }

    pub(crate) fn data(&self, id: TaskId) -> &[u8] {
        self.buffers.outgoing(id.slot())
    }

    /// Moves bytes until a task has ended, or the connection cannot go on.
    pub(crate) async fn run(&mut self) -> Result<Done, String> {
        in_time(self.drive()).await
    }

    async fn drive(&mut self) -> Result<Done, String> {
        let mut input = vec![0; 65_536];
        loop {
            self.write().await;
            while let Some(event) = self.session.poll_event() {
                if let Event::Done(done) = event {
                    return Ok(done);
                }
            }
            let read = self.stream.read(&mut input).await.unwrap_or(0);
            if read == 0 {
                return Err("the peer closed the connection".to_owned());
            }
            let now = Instant::now();
            let handled =
                self.session
                    .handle_input(now, self.cid, &input[..read], &mut self.buffers);
            if let Err(error) = handled {
                return Err(error.to_string());
            }
        }
    }

    /// Sends what there is to send.
    pub(crate) async fn write(&mut self) {
        let mut batch = Transmit::default();
        let now = Instant::now();
        while self
            .session
            .poll_transmit(now, self.cid, &self.buffers, &mut batch)
        {
            while !batch.is_empty() {
                let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
                let count = batch.slices(&self.buffers, &mut slices).expect("buffers");
                let written = self.stream.write_vectored(&slices[..count]).await.unwrap();
                batch.advance(written);
            }
            self.session.transmit_done(&mut batch);
        }
    }
}
