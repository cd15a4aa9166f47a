//! `~.` at the beginning of a line detaches, as ssh has it.

/// Where in a line what is typed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    LineStart,
    /// A `~` at the beginning of a line, not passed on yet.
    Tilde,
    Line,
}

/// Looks for the escape in what is typed.
#[derive(Debug, Default)]
pub(super) struct Escape {
    place: Place,
}

impl Escape {
    /// What is to be passed on of these bytes; true when they say to detach: the rest is dropped.
    pub(super) fn typed(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            self.place = match (self.place, byte) {
                (Place::LineStart, b'~') => Place::Tilde,
                (Place::Tilde, b'.') => return (passed, true),
                // One of the two is passed on.
                (Place::Tilde, b'~') => {
                    passed.push(byte);
                    Place::Line
                }
                (place, byte) => {
                    if place == Place::Tilde {
                        passed.push(b'~');
                    }
                    passed.push(byte);
                    if byte == b'\r' || byte == b'\n' { Place::LineStart } else { Place::Line }
                }
            };
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_that_begins_so_detaches() {
        let check = |typed: &str, passed: &str, detached: bool| {
            // In one piece, and key by key.
            assert_eq!(Escape::default().typed(typed.as_bytes()), (passed.into(), detached), "{typed:?}");
            let mut escape = Escape::default();
            let (mut all, mut over) = (Vec::new(), false);
            for byte in typed.bytes().take_while(|_| true) {
                if over {
                    break;
                }
                let (passed, detached) = escape.typed(&[byte]);
                all.extend(passed);
                over = detached;
            }
            assert_eq!((all, over), (passed.into(), detached), "{typed:?}");
        };
        check("ls\r", "ls\r", false);
        check("~.", "", true);
        check("ls\r~.rest", "ls\r", true);
        check("a~.", "a~.", false);
        check("~~.", "~.", false);
        check("~x~.", "~x~.", false);
        check("~\r~.", "~\r", true);
        check("\n~.", "\n", true);
        check("~", "", false);
    }
}
