//! Spaces as files: written as a stream, and taken in as one.

use super::limits::MAX_UPLOAD_PIECE;
use super::media::Media;
use super::message::{Fields, HttpRequest, HttpResponse};
use super::problem::{Checked, Kind, Problem};
use super::render::json_response;
use super::route::Route;
use super::url::Url;
use kith_core::api::{Reply, Request, SpaceRef};
use kith_core::archive::{ArchiveReader, Part};
use kith_core::identity::PublicKey;
use kith_map::BTreeMap;
use serde_json::{Map, Value as Json, json};

/// The media type of a space's file.
pub(super) const SPACE_FILE: &str = "application/vnd.kith.space";

/// The head of a space's file.
pub(super) fn head(space: &SpaceRef) -> HttpResponse {
    let name: String = match space {
        SpaceRef::Me => "me".to_owned(),
        SpaceRef::Id(id) => id.chars().filter(char::is_ascii_alphanumeric).take(12).collect(),
    };
    HttpResponse::new(200)
        .with("Content-Type", SPACE_FILE)
        .with("Content-Disposition", format!("attachment; filename=\"{name}.kith\""))
        .with("Cache-Control", "no-store")
        .with("X-Content-Type-Options", "nosniff")
}

/// The rest of a file on its way to its reader: what to ask the peer for next.
#[derive(Debug, PartialEq)]
pub struct Download {
    space: SpaceRef,
    keys: bool,
    next: Option<Request>,
}

impl Download {
    pub(super) fn new(space: SpaceRef, keys: bool) -> Download {
        Download { space, keys, next: None }
    }

    /// What to ask the peer for next; `None` when the file is complete.
    pub fn request(&mut self) -> Option<Request> {
        self.next.take()
    }

    /// The bytes in the peer's reply; `None` if the file cannot be completed. It then lacks its end, and whoever takes
    /// it in will notice.
    pub fn reply(&mut self, reply: Reply) -> Option<Vec<u8>> {
        let Reply::Exported { bytes, next } = reply else { return None };
        self.next =
            next.map(|state| Request::Export { space: self.space.clone(), keys: self.keys, state: Some(state) });
        Some(bytes)
    }
}

/// A file on its way in. Give it bytes, ask the peer what it says, and give it the replies.
#[derive(Debug)]
pub struct Upload {
    reader: ArchiveReader,
    space: Option<PublicKey>,
    new: u64,
    known: u64,
    refused: BTreeMap<&'static str, u64>,
    problem: Option<Box<Problem>>,
}

impl Upload {
    /// Opens the way for a file, or answers why not. `body` of the request is not looked at.
    pub fn open(request: HttpRequest) -> Result<Upload, HttpResponse> {
        Upload::checked(request).map_err(|problem| problem.response())
    }

    fn checked(request: HttpRequest) -> Checked<Upload> {
        let url = Url::read(&request.url)?;
        let fields = Fields::new(request.headers)?;
        let route = Route::of(&url)?;
        route.check(&request.method)?;
        if route != Route::Import {
            return Err(Problem::new(Kind::Internal, "Only files of spaces come in as streams. Please report this."));
        }
        match Media::of(&fields)? {
            Some(media) if ![SPACE_FILE, "application/octet-stream"].contains(&media.essence.as_str()) => {
                let detail = format!("Send the file of a space with Content-Type: {SPACE_FILE}.");
                return Err(Problem::new(Kind::UnsupportedMediaType, detail).with_header("Accept-Post", SPACE_FILE));
            }
            _ => {}
        }
        Ok(Upload {
            reader: ArchiveReader::new(),
            space: None,
            new: 0,
            known: 0,
            refused: BTreeMap::new(),
            problem: None,
        })
    }

    /// Takes in the next bytes, not more than [`MAX_UPLOAD_PIECE`] at a time. Then call [`Upload::request`] until it
    /// gives nothing.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.problem.is_none() {
            self.reader.push(bytes.get(..MAX_UPLOAD_PIECE.min(bytes.len())).unwrap_or_default());
        }
    }

    /// What to ask the peer next; `None` if more bytes are needed first, or none will help.
    pub fn request(&mut self) -> Option<Request> {
        if self.problem.is_some() {
            return None;
        }
        match self.reader.next_part() {
            Ok(None) => None,
            Ok(Some(part)) => {
                if let Part::Head { space, .. } = &part {
                    self.space = Some(*space);
                }
                Some(Request::Import { space: self.space?, part })
            }
            Err(error) => {
                self.problem = Some(Problem::new(Kind::MalformedFile, error.to_string()).with("why", error.name()));
                None
            }
        }
    }

    /// What the peer replied.
    pub fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Imported { new, known, refused } => {
                self.new += new;
                self.known += known;
                for (why, count) in refused {
                    *self.refused.entry(why).or_default() += count;
                }
            }
            Reply::Refused(refusal) => self.problem = Some(Problem::refused(&refusal, "/~/import")),
            _ => {
                let detail = "The peer gave a reply that does not go with the file. Please report this.";
                self.problem = Some(Problem::new(Kind::Internal, detail));
            }
        }
    }

    /// Whether further bytes make no difference any more.
    pub fn is_over(&self) -> bool {
        self.problem.is_some()
    }

    /// The answer, once there are no more bytes. What was taken in before a problem stays.
    pub fn finish(mut self) -> HttpResponse {
        if self.problem.is_none()
            && let Err(error) = self.reader.finish()
        {
            let problem = Problem::new(Kind::MalformedFile, error.to_string());
            self.problem = Some(problem.with("why", error.name()));
        }
        let refused: u64 = self.refused.values().sum();
        let entries = self.new + self.known + refused;
        match self.problem {
            Some(problem) => problem.with("entries", entries).with("new", self.new).response(),
            None => {
                let space = self.space.map(|space| space.id());
                let refused: Map<String, Json> =
                    self.refused.iter().map(|(why, count)| ((*why).to_owned(), (*count).into())).collect();
                let document = json!({
                    "space": space, "entries": entries, "new": self.new, "known": self.known, "refused": refused,
                });
                json_response(200, &document).with("Cache-Control", "no-store")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, Rendered, parse};
    use super::*;
    use kith_core::api::Refusal;
    use kith_core::archive::{Chain, MAGIC};

    fn request(method: &str, place: &str, media: Option<&str>) -> HttpRequest {
        let headers = media.map(|media| ("Content-Type".to_owned(), media.to_owned())).into_iter().collect();
        HttpRequest { method: method.to_owned(), url: format!("http://localhost{place}"), headers, body: None }
    }

    fn file() -> Vec<u8> {
        let mut chain = Chain::default();
        let parts = [
            Part::Head { space: PublicKey([7; 32]), written: 1 },
            Part::Run(vec![vec![1; 10], vec![2; 10]]),
            Part::End(2),
        ];
        let blocks: Vec<u8> = parts.iter().flat_map(|part| chain.block(part)).collect();
        [&MAGIC[..], &blocks].concat()
    }

    fn document(response: &HttpResponse) -> Json {
        serde_json::from_slice(&response.body).unwrap()
    }

    /// Sends bytes in pieces; each part is replied to with this.
    fn send(bytes: &[u8], reply: impl Fn(&Part) -> Reply) -> (HttpResponse, usize) {
        let mut upload = Upload::open(request("POST", "/~/import", Some(SPACE_FILE))).unwrap();
        let mut asked = 0;
        for piece in bytes.chunks(9) {
            upload.push(piece);
            while let Some(Request::Import { space, part }) = upload.request() {
                assert_eq!(space, PublicKey([7; 32]));
                asked += 1;
                upload.reply(reply(&part));
            }
            if upload.is_over() {
                break;
            }
        }
        (upload.finish(), asked)
    }

    fn taken(part: &Part) -> Reply {
        let run = matches!(part, Part::Run(_));
        let refused = if run { BTreeMap::from([("not-a-member", 1)]) } else { BTreeMap::new() };
        Reply::Imported { new: u64::from(run), known: 0, refused }
    }

    #[test]
    fn a_file_is_asked_about_part_by_part_and_the_tally_is_the_answer() {
        let (response, asked) = send(&file(), taken);
        assert_eq!((response.status, asked), (200, 3));
        let space = PublicKey([7; 32]).id();
        let expected = json!({"space": space, "entries": 2, "new": 1, "known": 0, "refused": {"not-a-member": 1}});
        assert_eq!(document(&response), expected);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named_with_what_was_taken_before() {
        let whole = file();
        let (cut, _) = send(&whole[..whole.len() - 1], taken);
        let problem = document(&cut);
        assert_eq!((cut.status, &problem["why"], &problem["new"]), (400, &json!("cut"), &json!(1)));
        assert_eq!(problem["type"], "urn:kith:problem:malformed-file");
        let (other, asked) = send(b"\x89PNG\r\n", taken);
        assert_eq!((asked, &document(&other)["why"]), (0, &json!("magic")));
        let mut damaged = whole.clone();
        damaged[80] ^= 1;
        assert_eq!(document(&send(&damaged, taken).0)["why"], "check");
        let (full, asked) = send(&whole, |_| Reply::Refused(Refusal::NoRoom));
        assert_eq!((full.status, asked), (507, 1));
    }

    #[test]
    fn files_come_in_at_one_place_with_one_type() {
        for (method, place, media, status) in [
            ("POST", "/~/import", Some("text/plain"), 415),
            ("GET", "/~/import", None, 405),
            ("POST", "/~/me/a", None, 405),
            ("POST", "/~/join", None, 500),
        ] {
            assert_eq!(Upload::open(request(method, place, media)).unwrap_err().status, status, "{method} {place}");
        }
        assert!(Upload::open(request("POST", "/~/import", None)).is_ok());
        assert!(Upload::open(request("POST", "/~/import", Some("application/octet-stream"))).is_ok());
    }

    #[test]
    fn a_space_is_downloaded_block_by_block() {
        let Parsed::Ask(asked, render) = parse(request("GET", "/~/zSp/$export?keys=1", None)) else { panic!() };
        let space = SpaceRef::Id("zSp".to_owned());
        assert_eq!(asked, Request::Export { space, keys: true, state: None });
        let reply = Reply::Exported { bytes: vec![1, 2], next: None };
        let Rendered::Download(head, bytes, mut download) = render.clone().reply(reply.clone()) else { panic!() };
        assert_eq!((head.status, head.header("content-type"), bytes), (200, Some(SPACE_FILE), vec![1, 2]));
        assert_eq!(head.header("content-disposition"), Some("attachment; filename=\"zSp.kith\""));
        assert_eq!(download.request(), None);
        assert_eq!(download.reply(Reply::Refused(Refusal::NotFound)), None);
        let Parsed::Ask(_, head) = parse(request("HEAD", "/~/me/$export", None)) else { panic!() };
        assert!(matches!(head.reply(reply), Rendered::Whole(response) if response.body.is_empty()));
        match render.reply(Reply::Refused(Refusal::NoSuchSpace)) {
            Rendered::Whole(response) => assert_eq!(response.status, 404),
            other => panic!("{other:?}"),
        }
    }
}
