//! The blocking client of the daemon's RPC.
//!
//! A [`Connector`] is the way to one daemon. It may be used by any number of threads at once: they share one thread
//! of ours and the connections that it drives ([`worker`]), each made when it is first needed.
//!
//! - There are four connections, one for each [`Lane`]: the daemon carries out a bounded number of calls of one
//!   connection at once, and logins to a portal that swallows everything must not hold up those who only look.
//! - Every call has a deadline: [`hawser_api::default_deadline`].
//! - A daemon that was restarted is connected to again. A call that the old connection failed is repeated once if
//!   it cannot have been carried out, or if carrying it out twice is the same as once ([`fate`]).
//! - After `fork()` the child makes a thread and a connection of its own, and leaves those of its parent alone:
//!   their locks may be held by threads that the child does not have ([`slots`]).
//! - No signal is handled and none is delivered to our thread, SIGPIPE among them.
//! - It may be called on a thread that an asynchronous runtime owns; that thread is blocked meanwhile.

mod fate;
mod slots;
mod socket;
mod worker;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hawser_api::{Client, ConnectError, Failure, Status, default_deadline};

use fate::Fate;
use slots::Slots;
use worker::Worker;
pub(crate) use worker::given_up_after;

/// Calls that travel on one connection: those that take about as long. Whoever waits in the daemon for one of its
/// places waits for calls of the same kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// What looks at the daemon's memory.
    Look,
    /// What changes the daemon's store.
    Change,
    /// What works on sessions that are there, and their disks: a logout, a SCSI command.
    Session,
    /// What connects to targets, of which any may swallow everything until it is given up.
    Connect,
}

impl Lane {
    /// How many there are.
    const COUNT: usize = 4;
}

/// Time for a call that only looks at the daemon's memory.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);
/// Longest deadline of a call that only changes the store.
const CHANGE_DEADLINE: Duration = Duration::from_secs(30);
/// How much longer than its deadline a caller waits for an answer: the deadline's own answer comes before.
const GRACE: Duration = Duration::from_secs(5);

/// Which call of the contract is made, and what may be done when its connection breaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// Service by its name in the contract, such as `hawser.v1.System`.
    pub(crate) service: &'static str,
    /// Method by its name in the contract.
    pub(crate) method: &'static str,
    /// Carried out twice it does the same and gives the same as once.
    pub(crate) repeatable: bool,
    /// It asks for no more than what the daemon knows, though others of its name do.
    pub(crate) only_looks: bool,
}

impl Call {
    fn deadline(&self) -> Duration {
        if self.only_looks {
            LOOK_DEADLINE
        } else {
            default_deadline(self.service, self.method)
        }
    }

    fn lane(&self) -> Lane {
        match self.deadline() {
            short if short <= LOOK_DEADLINE => Lane::Look,
            longer if longer <= CHANGE_DEADLINE => Lane::Change,
            _ if self.connects() => Lane::Connect,
            _ => Lane::Session,
        }
    }

    /// It makes connections to targets or servers, or waits for one that does.
    fn connects(&self) -> bool {
        let makes_session = matches!(self.method, "Login" | "AddConnection");
        self.service == "hawser.v1.Discovery" || makes_session
    }

    /// A request with the call's deadline.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.deadline());
        request
    }
}

/// The way to one daemon.
#[derive(Debug)]
pub(crate) struct Connector {
    /// `None`: as the environment says, each time a connection is made.
    socket: Option<PathBuf>,
    workers: Slots<Worker>,
}

impl Connector {
    /// To the daemon that the environment names.
    pub(crate) const fn of_environment() -> Self {
        Self {
            socket: None,
            workers: Slots::new(),
        }
    }

    /// To the daemon on this socket.
    pub(crate) const fn to(socket: PathBuf) -> Self {
        Self {
            socket: Some(socket),
            workers: Slots::new(),
        }
    }

    /// Makes a call and waits for its end. `ask` makes it on a client; it is asked again if the call is repeated.
    ///
    /// # Errors
    /// What the daemon says. `ISDSC_SERVICE_NOT_RUNNING` if it cannot be reached or ended during the call,
    /// `ERROR_ACCESS_DENIED` if this user may not, `ERROR_TIMEOUT` at the deadline,
    /// `ERROR_NOT_ENOUGH_MEMORY` if no thread can be made.
    pub(crate) fn call<T, F, Fut>(&self, call: Call, ask: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(Client) -> Fut + Send + 'static,
        Fut: Future<Output = Result<tonic::Response<T>, tonic::Status>> + Send + 'static,
    {
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => socket::find()?,
        };
        let worker = self.workers.get_or_make(Worker::start).map_err(|error| {
            let what = format!("no thread for the connection to the daemon: {error}");
            Failure::new(Status::ERROR_NOT_ENOUGH_MEMORY, what)
        })?;
        let task = Arc::clone(&worker);
        let answer = async move { answered(&task, socket, call, ask).await };
        let longest = call.deadline().saturating_mul(2) + GRACE;
        worker.run(answer, longest).unwrap_or_else(|| {
            let what = format!("the connection's thread did not answer {}", call.method);
            Err(Failure::new(Status::ERROR_TIMEOUT, what))
        })
    }
}

/// Makes the call, and once more if that is right.
async fn answered<T, F, Fut>(
    worker: &Worker,
    socket: PathBuf,
    call: Call,
    ask: F,
) -> Result<T, Failure>
where
    F: Fn(Client) -> Fut,
    Fut: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
{
    let lane = call.lane();
    let mut repeated = false;
    loop {
        let connected = worker.client(lane, &socket).await;
        let (client, number) = connected.map_err(not_connected)?;
        let refused = match ask(client).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(refused) => refused,
        };
        let fate = fate::of(&refused);
        if fate == Fate::Answered {
            return Err(refused.into());
        }
        worker.forget(lane, number).await;
        let may_repeat = fate == Fate::NotSent || call.repeatable;
        if repeated || !may_repeat {
            return Err(broken(refused));
        }
        repeated = true;
    }
}

/// A connection that broke: whatever gRPC calls it, the daemon is not there any more.
fn broken(refused: tonic::Status) -> Failure {
    let failure = Failure::from(refused);
    Failure::new(Status::SERVICE_NOT_RUNNING, failure.message.clone())
        .with_advice(failure.advice.clone())
}

/// Why there is no connection. Whatever it is besides a missing right, no daemon answers there (§1.2).
fn not_connected(error: ConnectError) -> Failure {
    let failure = Failure::from(error);
    if matches!(
        failure.status,
        Status::ERROR_ACCESS_DENIED | Status::SERVICE_NOT_RUNNING
    ) {
        return failure;
    }
    Failure::new(Status::SERVICE_NOT_RUNNING, failure.message.clone())
        .with_advice(failure.advice.clone())
}
