//! Frames and their bytes.

/// The most bytes of a frame's payload.
pub const PAYLOAD_BYTES_MAX: usize = 32 * 1024;

/// What a frame begins with: its kind and the length of its payload.
const HEAD_BYTES: usize = 5;

/// One message of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes as they were typed, or as a program wrote them.
    Data(Vec<u8>),
    /// The size of the window of whoever is attached, in characters.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters of a line.
        columns: u16,
    },
    /// Its sender sends no more data; the other direction goes on.
    End,
    /// The engine is there: what comes next is the session's.
    Ready,
    /// The session has ended, with this exit code; 128 and the number of the signal that ended it.
    Exited(i32),
    /// The channel cannot be had, or is taken away, and why; for people.
    Refused(String),
    /// Nothing: it shows that the way is still there.
    Ping,
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Nobody knows this kind.
    #[error("a frame of kind {0} is not known; hint: the two ends may be of different versions")]
    Kind(u8),
    /// The payload is longer than any may be.
    #[error("a frame of {0} bytes is longer than {PAYLOAD_BYTES_MAX}")]
    Length(u32),
    /// The payload is not what its kind has.
    #[error("a frame of kind {kind} has {length} bytes of something else")]
    Payload {
        /// Its kind.
        kind: u8,
        /// How long it is, in bytes.
        length: usize,
    },
}

impl Frame {
    /// Appends its bytes. Data longer than [`PAYLOAD_BYTES_MAX`] becomes several frames, a longer reason is cut.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Frame::Data(data) => data.chunks(PAYLOAD_BYTES_MAX).for_each(|part| put(bytes, 0, part)),
            Frame::Resize { rows, columns } => {
                let [a, b] = rows.to_be_bytes();
                let [c, d] = columns.to_be_bytes();
                put(bytes, 1, &[a, b, c, d]);
            }
            Frame::End => put(bytes, 2, &[]),
            Frame::Ready => put(bytes, 3, &[]),
            Frame::Exited(code) => put(bytes, 4, &code.to_be_bytes()),
            Frame::Refused(why) => put(bytes, 5, &why.as_bytes()[..why.floor_char_boundary(PAYLOAD_BYTES_MAX)]),
            Frame::Ping => put(bytes, 6, &[]),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<Self, FrameError> {
        let odd = || FrameError::Payload { kind, length: payload.len() };
        Ok(match (kind, payload) {
            (0, data) => Frame::Data(data.to_vec()),
            (1, &[a, b, c, d]) => {
                Frame::Resize { rows: u16::from_be_bytes([a, b]), columns: u16::from_be_bytes([c, d]) }
            }
            (2, []) => Frame::End,
            (3, []) => Frame::Ready,
            (4, &[a, b, c, d]) => Frame::Exited(i32::from_be_bytes([a, b, c, d])),
            (5, why) => Frame::Refused(String::from_utf8(why.to_vec()).map_err(|_| odd())?),
            (6, []) => Frame::Ping,
            (1..=6, _) => return Err(odd()),
            _ => return Err(FrameError::Kind(kind)),
        })
    }
}

fn put(bytes: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a payload is cut to its limit");
    bytes.push(kind);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// The length of the frame that `bytes` begin with; `None` while its head is not there.
fn length(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let &[_, a, b, c, d, ..] = bytes else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]);
    match length as usize {
        long if long > PAYLOAD_BYTES_MAX => Err(FrameError::Length(length)),
        length => Ok(Some(HEAD_BYTES + length)),
    }
}

/// How many of these bytes are whole frames: who passes bytes on breaks only between two.
///
/// # Errors
/// When a frame is longer than any may be.
pub fn whole(bytes: &[u8]) -> Result<usize, FrameError> {
    let mut at = 0;
    while let Some(length) = length(&bytes[at..])?
        && at + length <= bytes.len()
    {
        at += length;
    }
    Ok(at)
}

/// Puts frames together from bytes that come in any pieces. It never holds more than one frame and the last piece.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where the next frame begins.
    at: usize,
}

impl Frames {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame that is whole.
    ///
    /// # Errors
    /// When the bytes are no frame: nothing that follows can be read.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.bytes[self.at..];
        let Some(length) = length(rest)?.filter(|&length| length <= rest.len()) else { return Ok(None) };
        let frame = Frame::decode(rest[0], &rest[HEAD_BYTES..length])?;
        self.at += length;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame() -> impl Strategy<Value = Frame> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 1..200).prop_map(Frame::Data),
            (any::<u16>(), any::<u16>()).prop_map(|(rows, columns)| Frame::Resize { rows, columns }),
            Just(Frame::End),
            Just(Frame::Ready),
            any::<i32>().prop_map(Frame::Exited),
            "[a-zé ]{0,40}".prop_map(Frame::Refused),
            Just(Frame::Ping),
        ]
    }

    fn all(frames: &mut Frames) -> Vec<Frame> {
        std::iter::from_fn(|| frames.take().expect("frames")).collect()
    }

    proptest! {
        #[test]
        fn frames_survive_any_pieces(sent in prop::collection::vec(frame(), 0..20), piece in 1usize..50) {
            let bytes: Vec<u8> = sent.iter().flat_map(Frame::bytes).collect();
            let (mut frames, mut got) = (Frames::default(), Vec::new());
            for part in bytes.chunks(piece) {
                frames.push(part);
                got.extend(all(&mut frames));
            }
            prop_assert_eq!(got, sent);
            prop_assert_eq!(whole(&bytes), Ok(bytes.len()));
        }

        #[test]
        fn what_is_whole_ends_between_two_frames(sent in prop::collection::vec(frame(), 1..9), cut in any::<usize>()) {
            let bytes: Vec<u8> = sent.iter().flat_map(Frame::bytes).collect();
            let cut = cut % bytes.len();
            let ends: Vec<usize> = sent.iter().scan(0, |end, frame| {
                *end += frame.bytes().len();
                Some(*end)
            }).collect();
            let last = ends.into_iter().take_while(|&end| end <= cut).last().unwrap_or(0);
            prop_assert_eq!(whole(&bytes[..cut]), Ok(last));
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut frames = Frames::default();
            frames.push(&bytes);
            while let Ok(Some(_)) = frames.take() {}
            prop_assert!(frames.at <= bytes.len());
        }
    }

    #[test]
    fn long_data_is_several_frames() {
        let mut frames = Frames::default();
        frames.push(&Frame::Data(vec![7; PAYLOAD_BYTES_MAX + 1]).bytes());
        let lengths = all(&mut frames).into_iter().map(|frame| match frame {
            Frame::Data(data) => data.len(),
            other => panic!("{other:?}"),
        });
        assert_eq!(lengths.collect::<Vec<_>>(), [PAYLOAD_BYTES_MAX, 1]);
    }

    #[test]
    fn what_is_no_frame_is_said() {
        let check = |bytes: &[u8], error: FrameError| {
            let mut frames = Frames::default();
            frames.push(bytes);
            assert_eq!(frames.take(), Err(error), "{bytes:?}");
        };
        check(&[9, 0, 0, 0, 0], FrameError::Kind(9));
        check(&[0, 0, 1, 0, 0], FrameError::Length(65536));
        check(&[1, 0, 0, 0, 1, 5], FrameError::Payload { kind: 1, length: 1 });
        check(&[5, 0, 0, 0, 1, 0xff], FrameError::Payload { kind: 5, length: 1 });
    }
}
