//! Server-Sent Events as `EventSource` reads them.

/// Events on their way.
#[derive(Default)]
pub(super) struct Events(String);

impl Events {
    /// One event. Data of several lines becomes several `data` lines; every kind of line end counts as one.
    pub(super) fn push(&mut self, event: Option<&str>, id: Option<&str>, data: &str) {
        if let Some(event) = event {
            self.line("event", event);
        }
        if let Some(id) = id {
            self.id(id);
        }
        for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
            self.line("data", line);
        }
        self.0.push('\n');
    }

    /// Nothing for the reader, but where it resumes.
    pub(super) fn remember(&mut self, id: &str) {
        self.id(id);
        self.0.push('\n');
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    fn id(&mut self, id: &str) {
        let id: String = id.chars().filter(|c| !c.is_control()).collect();
        self.line("id", &id);
    }

    fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(name);
        self.0.push_str(": ");
        self.0.push_str(value);
        self.0.push('\n');
    }
}
