//! Jobs: what a peer does step by step, each step from the start with what has been read so far (note 0001).

use super::commit::{Effect, Unit};
use super::{LinkId, LoadId, Output, Peer};
use crate::api::{Refusal, Reply, Request, RequestId, SubscriptionId};
use crate::identity::PublicKey;
use crate::lens::{Answers, Lens, Miss};
use crate::path::Path;
use crate::rows::{Read, Rows};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TaskId(pub(super) u64);

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most jobs are requests")]
pub(super) enum Job {
    Boot,
    Request(RequestId, Request),
    Update(SubscriptionId),
    Meet(LinkId, u32),
    Ingest(LinkId, u32),
    Serve(LinkId, u32),
    Replay(u32),
    Collect(u32),
    Seek(u32),
    Whole(u32),
    Fill(u32),
    Renew(u32),
    Mend(u32),
    Index(u32),
    Fork(LinkId, u32, PublicKey),
    Text(u32, Path),
    Glimpse(LinkId, u32),
}

impl Job {
    /// Whether it sees what came before the logs it stands in.
    fn sees_early(&self) -> bool {
        use Request::{Get, List, Write};
        matches!(self, Job::Update(_) | Job::Request(_, Get { .. } | List { .. } | Write { .. }))
    }
}

pub(super) struct Task {
    pub(super) job: Job,
    pub(super) answers: Answers,
    pub(super) load: Option<(LoadId, Vec<Read>)>,
}

/// How a step ends when it has everything it needs.
pub(super) enum Done {
    /// Nothing is to be written.
    Nothing,
    /// Rows are to be written, with effects once they are.
    Write(Unit),
    /// Like `Write`, and run again from the start after that.
    WriteAndAgain(Unit),
}

impl Peer {
    pub(super) fn start(&mut self, job: Job) {
        let id = TaskId(self.number());
        self.tasks.insert(id, Task { job, answers: Answers::default(), load: None });
        self.step(id);
    }

    /// Runs a task's step, and again until it waits or ends.
    pub(super) fn step(&mut self, id: TaskId) {
        while let Some(mut task) = self.tasks.remove(&id) {
            let overlay = std::mem::take(&mut self.overlay);
            let early = task.job.sees_early().then(|| self.early.rows()).flatten();
            let lens = Lens::new(&task.answers, &overlay).seeing(early.as_deref());
            let result = self.run(&task.job, &lens);
            let missing = lens.into_missing();
            self.overlay = overlay;
            match result {
                Err(Miss) => {
                    let load = LoadId(self.number());
                    self.loads.insert(load, id);
                    self.outputs.push_back(Output::Load(load, missing.clone()));
                    task.load = Some((load, missing));
                    self.tasks.insert(id, task);
                    return;
                }
                Ok(Done::WriteAndAgain(unit)) if unit.batch.is_empty() => {
                    self.tasks.insert(id, task);
                    self.write(unit);
                }
                // Again as a new task: what this one has read is of no use to it, and neither that nor what has been
                // committed since this one began may pile up.
                Ok(Done::WriteAndAgain(mut unit)) => {
                    if self.commits.is_ahead() {
                        unit.effects.push(Effect::Start(task.job));
                    } else {
                        self.start_later(task.job);
                    }
                    self.write(unit);
                }
                Ok(Done::Nothing) => {}
                Ok(Done::Write(unit)) => self.write(unit),
            }
        }
        self.forget_written();
    }

    pub(super) fn run(&mut self, job: &Job, lens: &Lens<'_>) -> Result<Done, Miss> {
        match job {
            Job::Boot => self.boot(lens),
            Job::Request(id, request) => self.answer(*id, request, lens),
            Job::Update(id) => self.update(*id, lens),
            Job::Meet(link, space) => self.meet(*link, *space, lens),
            Job::Ingest(link, space) => self.ingest(*link, *space, lens),
            Job::Serve(link, space) => self.serve(*link, *space, lens),
            Job::Replay(space) => self.replay(*space, lens),
            Job::Collect(space) => self.collect(*space, lens),
            Job::Seek(space) => self.seek(*space, lens),
            Job::Whole(space) => self.answer_whole(*space, lens),
            Job::Fill(space) => self.fill(*space, lens),
            Job::Renew(space) => self.renew(*space, lens),
            Job::Mend(space) => self.mend(*space, lens),
            Job::Index(space) => self.index_history(*space, lens),
            Job::Fork(link, space, log) => self.search_fork(*link, *space, *log, lens),
            Job::Text(space, path) => self.merge_text(*space, path, lens),
            Job::Glimpse(link, space) => self.glimpse(*link, *space, lens),
        }
    }

    /// Starts a job once the step that is running has ended.
    pub(super) fn start_later(&mut self, job: Job) {
        self.commits.later.push(job);
    }

    pub(super) fn loaded(&mut self, load: LoadId, rows: Result<Vec<Rows>, String>) {
        let Some(id) = self.loads.remove(&load) else { return };
        let Some(task) = self.tasks.get_mut(&id) else { return };
        match (task.load.take(), rows) {
            (Some((expected, reads)), Ok(rows)) if expected == load => {
                for (read, rows) in reads.into_iter().zip(rows) {
                    task.answers.add(read, rows);
                }
                self.step(id);
            }
            (Some((expected, _)), Err(why)) if expected == load => {
                if let Some(task) = self.tasks.remove(&id) {
                    self.give_up(task.job, Refusal::Storage(why));
                }
                self.forget_written();
            }
            (other, _) => task.load = other,
        }
    }

    /// A task cannot go on because storage failed.
    pub(super) fn give_up(&mut self, job: Job, refusal: Refusal) {
        match job {
            Job::Request(id, _) => {
                self.importing.retain(|(waiting, _)| *waiting != id);
                self.forget_held(id);
                self.reply(id, Reply::Refused(refusal));
            }
            Job::Boot => {
                for (id, _) in std::mem::take(&mut self.waiting_for_boot) {
                    self.reply(id, Reply::Refused(refusal.clone()));
                }
            }
            Job::Update(id) => self.end_subscription(id, refusal),
            Job::Ingest(link, number) => {
                self.hang_up(link, "storage");
                // What came over other links has waited for this.
                self.commits.next_frames.insert(number);
            }
            Job::Meet(link, _) | Job::Serve(link, _) | Job::Glimpse(link, _) | Job::Fork(link, ..) => {
                self.hang_up(link, "storage");
            }
            Job::Replay(number)
            | Job::Renew(number)
            | Job::Mend(number)
            | Job::Collect(number)
            | Job::Seek(number)
            | Job::Whole(number)
            | Job::Fill(number)
            | Job::Index(number) => self.put_off_job(number, job),
            // It is still due.
            Job::Text(..) => {}
        }
    }

    /// Does later what nobody waits for.
    pub(super) fn put_off_job(&mut self, number: u32, job: Job) {
        let kind = std::mem::discriminant(&job);
        let is_same = |(space, other): &(u32, Job)| *space == number && std::mem::discriminant(other) == kind;
        if !self.commits.unfinished.iter().any(is_same) {
            self.commits.unfinished.push((number, job));
        }
    }

    /// Goes on with what was put off.
    pub(super) fn finish_jobs(&mut self) {
        let jobs = std::mem::take(&mut self.commits.unfinished);
        self.commits.later.extend(jobs.into_iter().map(|(_, job)| job));
    }
}
