//! The server of the limit.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result};

use super::{Counter, Sender, Sizes};

/// Serves until standard input ends, which it does when the one who started it is gone.
pub(crate) fn run() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
    println!("listening on {}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                if let Err(error) = answer(&stream) {
                    eprintln!("a connection of the limit: {error}");
                }
            });
        }
    });
    let mut byte = [0];
    while io::stdin().read(&mut byte)? > 0 {}
    Ok(())
}

/// Answers requests until the client closes.
pub(super) fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let sizes = Sizes::receive(stream)?;
    let sender = Sender::new(sizes.answer);
    let mut requests = Counter::new(sizes.request);
    while let Some(count) = requests.read(stream)? {
        sender.send(stream, count * sizes.answer)?;
    }
    Ok(())
}
