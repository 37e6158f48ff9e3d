//! The client of the limit.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Counter, Sender, Sizes};

/// Keeps `depth` requests outstanding for `time`, waits for the last answers, and prints how many there
/// were.
pub(crate) fn run(
    server: SocketAddr,
    bytes: u32,
    writes: bool,
    depth: u32,
    time: Duration,
) -> Result<()> {
    ensure!(depth > 0, "the depth must be 1 or more");
    let stream = TcpStream::connect(server).context("connect to the server of the limit")?;
    stream.set_nodelay(true)?;
    let sizes = Sizes::new(bytes, writes);
    sizes.send(&stream)?;
    let begun = Instant::now();
    let ios = exchange(&stream, sizes, depth as usize, begun + time).context("the exchange")?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{}", json!({ "ios": ios, "seconds": seconds }));
    Ok(())
}

/// Gives how many requests were answered.
pub(super) fn exchange(
    stream: &TcpStream,
    sizes: Sizes,
    depth: usize,
    end: Instant,
) -> Result<u64> {
    let sender = Sender::new(sizes.request);
    let mut answers = Counter::new(sizes.answer);
    let (mut under_way, mut ios) = (depth, 0);
    sender.send(stream, depth * sizes.request)?;
    while under_way > 0 {
        let ended = answers.read(stream)?.context("the server went away")?;
        ios += ended as u64;
        under_way -= ended;
        if ended > 0 && Instant::now() < end {
            sender.send(stream, ended * sizes.request)?;
            under_way += ended;
        }
    }
    Ok(ios)
}
