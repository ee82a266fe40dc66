//! The first exchange on a link; see the module above for its bytes.

use super::{LinkError, Report, Side};
use crate::LinkId;
use futures::channel::{mpsc, oneshot};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::io;

const HELLO_VERSION: u8 = 1;
const HELLO_LEN: usize = 9;

/// Exchanges hellos.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    link: LinkId,
    stream: &mut S,
    side: Side,
    reports: &mpsc::UnboundedSender<Report>,
) -> Result<(), LinkError> {
    match side {
        Side::Opener { generation } => {
            stream.write_all(&hello(generation)).await?;
            stream.flush().await?;
            match read_hello(stream).await {
                Ok(echoed) if echoed == generation => Ok(()),
                Ok(_) => Err(LinkError::Protocol("its hello answers another one")),
                Err(LinkError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(LinkError::Refused),
                Err(error) => Err(error),
            }
        }
        Side::Acceptor => {
            let generation = read_hello(stream).await?;
            let (verdict, wanted) = oneshot::channel();
            let _ = reports.unbounded_send(Report::Hello { link, generation, verdict });
            if !wanted.await.unwrap_or(false) {
                return Err(LinkError::Refused);
            }
            stream.write_all(&hello(generation)).await?;
            stream.flush().await?;
            Ok(())
        }
    }
}

pub(super) fn hello(generation: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + HELLO_LEN);
    bytes.extend_from_slice(&9u32.to_be_bytes());
    bytes.push(HELLO_VERSION);
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes
}

pub(super) async fn read_hello<S: AsyncRead + Unpin>(stream: &mut S) -> Result<u64, LinkError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    if u32::from_be_bytes(length) as usize != HELLO_LEN {
        return Err(LinkError::Protocol("it did not start with a hello"));
    }
    let mut version = [0; 1];
    stream.read_exact(&mut version).await?;
    if version != [HELLO_VERSION] {
        return Err(LinkError::Protocol("its hello has an unknown version"));
    }
    let mut generation = [0; 8];
    stream.read_exact(&mut generation).await?;
    Ok(u64::from_be_bytes(generation))
}
