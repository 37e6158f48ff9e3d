//! Commands that must not be carried out twice: COMPARE AND WRITE and PERSISTENT RESERVE OUT are never
//! sent again, even where the target has carried them out and only the answer was lost.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hawser_engine::{
    DigestPolicy, Isid, LunNumber, ScsiAnswer, ScsiRequest, Session, SessionError, Transfer,
};
use hawser_scsi::cdb::IoFlags;
use hawser_scsi::{Cdb, Status};
use hawser_target::TargetHandle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::support::{anywhere, at_level_0, established, in_time, logged_in_again, serve, up};

const COMPARE_AND_WRITE: u8 = 0x89;
const PERSISTENT_RESERVE_OUT: u8 = 0x5f;
/// Service action of PERSISTENT RESERVE OUT: each one that is carried out counts PRGENERATION up.
const REGISTER_AND_IGNORE: u8 = 0x06;
/// Service action of PERSISTENT RESERVE IN.
const READ_KEYS: u8 = 0x00;

/// Stands before a target, writes down what an initiator sends, and can keep the answers back.
#[derive(Default)]
struct Tap {
    /// What came, connection by connection.
    sent: Mutex<Vec<Vec<u8>>>,
    /// Connections before this one get no more answers.
    answered_from: AtomicUsize,
}

impl Tap {
    async fn before(server: SocketAddr) -> (Arc<Self>, SocketAddr) {
        let tap = Arc::new(Self::default());
        let listener = TcpListener::bind(anywhere()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&tap);
        tokio::spawn(async move {
            while let Ok((initiator, _)) = listener.accept().await {
                let target = TcpStream::connect(server).await.unwrap();
                let number = {
                    let mut sent = shared.sent.lock().unwrap();
                    sent.push(Vec::new());
                    sent.len() - 1
                };
                let (from_initiator, to_initiator) = initiator.into_split();
                let (from_target, to_target) = target.into_split();
                tokio::spawn(Arc::clone(&shared).up(number, from_initiator, to_target));
                tokio::spawn(Arc::clone(&shared).down(number, from_target, to_initiator));
            }
        });
        (tap, address)
    }

    async fn up(self: Arc<Self>, number: usize, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            self.sent.lock().unwrap()[number].extend_from_slice(&bytes[..length]);
            if to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    }

    async fn down(self: Arc<Self>, number: usize, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            let kept_back = number < self.answered_from.load(Ordering::SeqCst);
            if !kept_back && to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    }

    /// From now on no answer comes through on the connections that there are.
    fn keep_answers_back(&self) {
        let connections = self.sent.lock().unwrap().len();
        self.answered_from.store(connections, Ordering::SeqCst);
    }

    /// How many SCSI commands with this operation code were sent, over all connections. The offsets
    /// are those of RFC 7143 §11.2 and §11.3, without digests.
    fn sent(&self, operation: u8) -> usize {
        let mut count = 0;
        for stream in &*self.sent.lock().unwrap() {
            let mut rest = stream.as_slice();
            while rest.len() >= 48 {
                let header = rest;
                count += usize::from(header[0] & 0x3f == 0x01 && header[32] == operation);
                let data = usize::from_be_bytes([0, 0, 0, 0, 0, header[5], header[6], header[7]]);
                let length = 48 + usize::from(header[4]) * 4 + data.next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
            }
        }
        count
    }
}

/// A session through the tap, and one straight to the target.
struct Rig {
    tap: Arc<Tap>,
    session: Session,
    witness: Session,
    _server: TargetHandle,
}

impl Rig {
    async fn start() -> Self {
        let server = serve().await;
        let (tap, address) = Tap::before(server.local_addrs()[0]).await;
        let mut tapped = at_level_0(address);
        tapped.login.header_digest = DigestPolicy::None;
        tapped.login.data_digest = DigestPolicy::None;
        tapped.isid = Isid::from_random([1, 2, 3, 4, 5]);
        Self {
            session: established(tapped).await,
            witness: up(&server).await,
            tap,
            _server: server,
        }
    }

    /// Sends a command whose answer is lost with the connection after it was carried out, as `seen`
    /// says; gives how it ended.
    async fn lose_the_answer(
        &self,
        request: ScsiRequest,
        seen: impl AsyncFn() -> bool,
    ) -> SessionError {
        assert_eq!(
            good(&self.session, test_unit_ready()).await.status,
            Status::Good
        );
        self.tap.keep_answers_back();
        let session = self.session.clone();
        let sent = tokio::spawn(async move { session.scsi(request).await });
        in_time(async {
            while !seen().await {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.session.reconnect();
        let error = in_time(sent).await.unwrap().unwrap_err();
        logged_in_again(&self.session, 1).await;
        // What was to be sent again would have gone out before this.
        assert_eq!(
            good(&self.session, test_unit_ready()).await.status,
            Status::Good
        );
        error
    }
}

fn request(cdb: Cdb, transfer: Transfer) -> ScsiRequest {
    ScsiRequest {
        lun: LunNumber::ZERO,
        cdb,
        transfer,
    }
}

fn test_unit_ready() -> ScsiRequest {
    request(Cdb::test_unit_ready(), Transfer::None)
}

/// Repeats a command past unit attentions.
async fn good(session: &Session, wanted: ScsiRequest) -> ScsiAnswer {
    loop {
        let answer = in_time(session.scsi(wanted.clone())).await.unwrap();
        if answer.status != Status::CheckCondition {
            return answer;
        }
    }
}

async fn first_block(session: &Session) -> Vec<u8> {
    let read = Cdb::read_16(0, 1, IoFlags::default());
    good(session, request(read, Transfer::Read(512))).await.data
}

#[tokio::test]
async fn compare_and_write_is_sent_once_even_if_its_answer_is_lost() {
    let rig = Rig::start().await;
    let cdb = Cdb::compare_and_write(0, 1, IoFlags::default());
    assert_eq!(cdb.opcode(), COMPARE_AND_WRITE);
    // Compare with zeros, write ones: a second time it would miscompare.
    let data = [[0; 512], [1; 512]].concat();
    let written = async || first_block(&rig.witness).await == [1; 512];
    let error = rig
        .lose_the_answer(request(cdb, Transfer::Write(data)), written)
        .await;
    assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
    assert_eq!(rig.tap.sent(COMPARE_AND_WRITE), 1);
    assert_eq!(first_block(&rig.session).await, [1; 512]);
}

#[tokio::test]
async fn persistent_reserve_out_is_sent_once_even_if_its_answer_is_lost() {
    let rig = Rig::start().await;
    let mut parameters = vec![0; 24];
    parameters[15] = 7;
    let cdb = [
        PERSISTENT_RESERVE_OUT,
        REGISTER_AND_IGNORE,
        0,
        0,
        0,
        0,
        0,
        0,
        24,
        0,
    ];
    let cdb = Cdb::from_bytes(&cdb).unwrap();
    // PRGENERATION, and the keys.
    let keys = async |session: &Session| {
        let read = Cdb::persistent_reserve_in(READ_KEYS, 64);
        let answer = good(session, request(read, Transfer::Read(64))).await;
        (
            answer.data[3],
            answer.data.get(8..).unwrap_or_default().to_vec(),
        )
    };
    assert_eq!(keys(&rig.witness).await, (0, Vec::new()));
    let registered = async || keys(&rig.witness).await.0 > 0;
    let error = rig
        .lose_the_answer(request(cdb, Transfer::Write(parameters)), registered)
        .await;
    assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
    assert_eq!(rig.tap.sent(PERSISTENT_RESERVE_OUT), 1);
    let once = (1, 7_u64.to_be_bytes().to_vec());
    assert_eq!(keys(&rig.session).await, once, "registered once");
}
