//! A connection over long polling: one request waits for what comes, another carries what is sent.
//! Never two of a kind at once, as the protocol has it; what is sent meanwhile goes with the next.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context, Result};
use tokio::select;
use tokio::sync::Notify;

use crate::http::Http;
use crate::transport::SEPARATOR;

/// The reading half, which also carries what the writing half was given.
pub struct LongPoll {
    /// With the session's id.
    path: String,
    get: Http,
    post: Http,
    outbox: Rc<Outbox>,
    /// Packets of the last answer, and where the next one begins.
    heard: Vec<u8>,
    next: usize,
}

/// Packets for the next POST.
#[derive(Default)]
pub struct Outbox {
    packets: RefCell<Vec<u8>>,
    changed: Notify,
}

impl LongPoll {
    /// Opens a session, over two connections of its own.
    pub async fn open(address: SocketAddr, path: &str) -> Result<Self> {
        let mut get = Http::connect(address, "").await?;
        let heard = get.get(path).await?.to_vec();
        let sid = str::from_utf8(&heard)?
            .strip_prefix(r#"0{"sid":""#)
            .and_then(|rest| rest.split_once('"'))
            .context("the first packet has no session id")?
            .0;
        Ok(Self {
            path: format!("{path}&sid={sid}"),
            get,
            post: Http::connect(address, "").await?,
            outbox: Rc::default(),
            heard,
            next: 0,
        })
    }

    /// The half to write with.
    pub fn outbox(&self) -> Rc<Outbox> {
        self.outbox.clone()
    }

    /// Sends what is there to be sent, and waits until it was taken.
    pub async fn flush(&mut self) -> Result<()> {
        if self.post.is_asked() {
            self.post.answer().await?;
        }
        self.begin_post().await?;
        self.post.answer().await?;
        Ok(())
    }

    /// Ends both connections with a reset.
    pub fn reset(self) -> Result<()> {
        self.get.reset()?;
        self.post.reset()
    }

    /// Range of the next packet.
    pub async fn text(&mut self) -> Result<Range<usize>> {
        while self.next >= self.heard.len() {
            if !self.get.is_asked() {
                self.get.ask("GET", &self.path, b"").await?;
            }
            if !self.post.is_asked() {
                self.begin_post().await?;
            }
            select! {
                heard = self.get.answer() => {
                    self.heard.clear();
                    self.heard.extend_from_slice(heard?);
                    self.next = 0;
                }
                taken = self.post.answer(), if self.post.is_asked() => { taken?; }
                () = self.outbox.changed.notified() => {}
            }
        }
        let start = self.next;
        let rest = self.heard[start..].iter();
        let end = start + rest.take_while(|byte| **byte != SEPARATOR).count();
        self.next = end + 1;
        Ok(start..end)
    }

    /// A packet that was just taken.
    pub fn payload(&self, place: Range<usize>) -> &[u8] {
        &self.heard[place]
    }

    async fn begin_post(&mut self) -> Result<()> {
        let packets = self.outbox.packets.take();
        if packets.is_empty() {
            return Ok(());
        }
        self.post.ask("POST", &self.path, &packets).await
    }
}

impl Outbox {
    /// Adds a packet.
    pub fn push(&self, packet: &str) {
        let mut packets = self.packets.borrow_mut();
        if !packets.is_empty() {
            packets.push(SEPARATOR);
        }
        packets.extend_from_slice(packet.as_bytes());
        self.changed.notify_one();
    }
}
