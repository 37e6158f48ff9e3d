//! One connection of the hostile initiator.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use hawser_proto::login::Login;
use hawser_proto::parameters::Parameters;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;

use crate::wire::{Digests, Pdu};

/// How far a connection is.
#[derive(Debug)]
pub enum Stage {
    /// A login by the rules.
    LoggingIn(Box<Login>),
    /// A login that is none.
    Raw,
    /// The full feature phase.
    Full,
}

/// What the target has asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub itt: u32,
    pub ttt: u32,
    pub offset: u32,
    pub length: u32,
    pub data_sn: u32,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    /// Which session it belongs to.
    pub nexus: usize,
    pub cid: u16,
    pub stage: Stage,
    pub parameters: Parameters,
    /// Text was sent in the full feature phase.
    pub renegotiates: bool,
    /// The StatSN that is due.
    pub stat_sn: u32,
    /// The StatSN before which all has been acknowledged.
    pub acknowledged: u32,
    pub asked: VecDeque<Asked>,
    /// What was sent last.
    pub last: Option<Pdu>,
    /// What came and is no whole PDU yet.
    pub inbox: Vec<u8>,
    stream: Option<DuplexStream>,
    job: JoinHandle<()>,
}

impl Client {
    /// A connection that is served by `job` at the other end.
    pub fn new(
        nexus: usize,
        cid: u16,
        stage: Stage,
        stream: DuplexStream,
        job: JoinHandle<()>,
    ) -> Self {
        Self {
            nexus,
            cid,
            stage,
            parameters: Parameters::default(),
            renegotiates: false,
            stat_sn: 0,
            acknowledged: 0,
            asked: VecDeque::new(),
            last: None,
            inbox: Vec::new(),
            stream: Some(stream),
            job,
        }
    }

    pub fn digests(&self) -> Digests {
        Digests {
            header: self.parameters.header_digest,
            data: self.parameters.data_digest,
        }
    }

    pub fn is_full(&self) -> bool {
        self.stream.is_some() && matches!(self.stage, Stage::Full)
    }

    /// Closes this end.
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// The other end has ended; a panic there is one here.
    pub async fn has_ended(&mut self) -> bool {
        if !self.job.is_finished() {
            return false;
        }
        (&mut self.job)
            .await
            .expect("a connection that is served to its end");
        true
    }

    /// Writes bytes; closes a connection whose other end takes no more.
    pub fn write(&mut self, mut bytes: &[u8]) {
        let mut cx = Context::from_waker(Waker::noop());
        while !bytes.is_empty() {
            let Some(stream) = &mut self.stream else {
                return;
            };
            match Pin::new(stream).poll_write(&mut cx, bytes) {
                Poll::Ready(Ok(count)) if count > 0 => bytes = &bytes[count..],
                _ => self.stream = None,
            }
        }
    }

    /// Reads what there is; how many bytes that was. The end closes this end too.
    pub fn read(&mut self) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let mut place = [0; 16 * 1024];
        let before = self.inbox.len();
        while let Some(stream) = &mut self.stream {
            let mut buffer = ReadBuf::new(&mut place);
            match Pin::new(stream).poll_read(&mut cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.inbox.extend_from_slice(buffer.filled());
                }
                Poll::Ready(_) => self.stream = None,
            }
        }
        self.inbox.len() - before
    }
}
