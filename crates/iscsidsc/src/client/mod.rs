//! The blocking client of the daemon's RPC.
//!
//! A [`Connector`] is the way to one daemon. It may be used by any number of threads at once: they share one
//! connection and one thread of ours that drives it ([`worker`]), both made when they are first needed.
//!
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

/// Time for a call that only looks at the daemon's memory.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);
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
    let mut repeated = false;
    loop {
        let (client, number) = worker.client(&socket).await.map_err(not_connected)?;
        let refused = match ask(client).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(refused) => refused,
        };
        let fate = fate::of(&refused);
        if fate == Fate::Answered {
            return Err(refused.into());
        }
        worker.forget(number).await;
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
