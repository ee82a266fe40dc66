//! Files on their way in, piece by piece: each piece is taken in and committed before the next is asked for.

use super::Driver;
use crate::http::limits::MAX_UPLOADS;
use crate::http::{HttpRequest, HttpResponse, Upload, problem};
use kith_store::Store;
use std::rc::Rc;

impl<S: Store + 'static> Driver<S> {
    /// Opens the way for a file, or answers why not.
    pub(crate) fn open_upload(self: &Rc<Self>, request: HttpRequest) -> Result<u32, HttpResponse> {
        let upload = Upload::open(request)?;
        if self.uploads.borrow().len() >= MAX_UPLOADS {
            return Err(problem::too_many_uploads());
        }
        let id = self.number() as u32;
        self.uploads.borrow_mut().insert(id, upload);
        Ok(id)
    }

    /// Takes in the next piece. False if further ones make no difference. One piece at a time.
    pub(crate) async fn upload(self: &Rc<Self>, id: u32, bytes: &[u8]) -> bool {
        // Taken out while the peer is asked, so that nothing is borrowed meanwhile.
        let Some(mut upload) = self.uploads.borrow_mut().remove(&id) else { return false };
        upload.push(bytes);
        while let Some(request) = upload.request() {
            match self.ask(request).await {
                Some(reply) => upload.reply(reply),
                None => return false,
            }
        }
        let goes_on = !upload.is_over();
        self.uploads.borrow_mut().insert(id, upload);
        goes_on
    }

    /// The answer, once there are no more bytes; `None` if the peer was closed meanwhile.
    pub(crate) fn finish_upload(&self, id: u32) -> Option<HttpResponse> {
        Some(self.uploads.borrow_mut().remove(&id)?.finish())
    }

    /// The sender went away. What was taken in stays.
    pub(crate) fn cancel_upload(&self, id: u32) {
        self.uploads.borrow_mut().remove(&id);
    }
}
