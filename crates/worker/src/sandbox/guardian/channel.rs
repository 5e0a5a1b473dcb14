//! What a worker says to its guardian: one message in one packet.
//!
//! **Invariants** A packet arrives whole or not at all. Sending never waits. The end of the
//! channel is the end of the worker: no other process holds that end.

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// A path, and the kind before it.
const PACKET_BYTES_MAX: usize = 4096 + 1;
const READY: &[u8] = b"ready";

/// `F` is a pidfd: borrowed by who sends it, owned by who receives it.
#[derive(Debug)]
pub(super) enum Message<F> {
    /// Empty this cgroup, with those below it, when the worker is gone.
    Watch {
        scope: PathBuf,
    },
    /// What is held may run until then.
    Renew {
        until_ms: i64,
    },
    Hold {
        id: u64,
        first: F,
    },
    /// It has ended.
    Release {
        id: u64,
    },
}

/// The worker's end and the guardian's.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

pub(super) fn say_ready(socket: BorrowedFd<'_>) -> io::Result<()> {
    rustix::net::send(socket, READY, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Does not wait; silence is an error.
pub(super) fn hear_ready(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut packet = [0; READY.len()];
    let (n_read, _) = rustix::net::recv(socket, &mut packet[..], RecvFlags::DONTWAIT)?;
    match packet[..n_read] == *READY {
        true => Ok(()),
        false => Err(io::Error::other("it did not say that it runs")),
    }
}

pub(super) fn send(socket: BorrowedFd<'_>, message: &Message<BorrowedFd<'_>>) -> io::Result<()> {
    let number = |kind: u8, bytes: [u8; 8]| [&[kind][..], &bytes].concat();
    let (packet, first) = match message {
        Message::Watch { scope } => ([b"w", scope.as_os_str().as_bytes()].concat(), None),
        Message::Renew { until_ms } => (number(b'r', until_ms.to_le_bytes()), None),
        Message::Hold { id, first } => (number(b'h', id.to_le_bytes()), Some([*first])),
        Message::Release { id } => (number(b'e', id.to_le_bytes()), None),
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if let Some(first) = &first {
        assert!(control.push(SendAncillaryMessage::ScmRights(first)), "there is room for one");
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(&packet)], &mut control, flags)?;
    Ok(())
}

/// `None`: the worker is gone. Does not wait: there may be nothing yet (`WouldBlock`).
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Message<OwnedFd>>> {
    let mut packet = [0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut control, flags)?;
    let first = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let Some((kind, rest)) = packet[..received.bytes].split_first() else { return Ok(None) };
    let strange = || io::Error::other("a message of another protocol");
    let number = || <[u8; 8]>::try_from(rest).map_err(|_| strange());
    Ok(Some(match kind {
        b'w' => Message::Watch { scope: PathBuf::from(OsStr::from_bytes(rest)) },
        b'r' => Message::Renew { until_ms: i64::from_le_bytes(number()?) },
        b'h' => {
            let id = u64::from_le_bytes(number()?);
            Message::Hold { id, first: first.ok_or_else(strange)? }
        }
        b'e' => Message::Release { id: u64::from_le_bytes(number()?) },
        _ => return Err(strange()),
    }))
}
