//! What should happen: where one call is after each event.

use abi::Error;

/// How the lease is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Copy,
    Map,
    Pin,
    PassCopy,
    PassMap,
    PassPin,
}

pub const USES: [Use; 6] = [Use::Copy, Use::Map, Use::Pin, Use::PassCopy, Use::PassMap, Use::PassPin];

impl Use {
    pub fn passes(self) -> bool {
        matches!(self, Use::PassCopy | Use::PassMap | Use::PassPin)
    }
    pub fn pins(self) -> bool {
        matches!(self, Use::Pin | Use::PassPin)
    }
    pub fn maps(self) -> bool {
        matches!(self, Use::Map | Use::PassMap)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Call,
    Receive,
    /// The server uses the lease itself, or passes it on and the driver uses it.
    Use,
    /// Whoever pinned closes the pin; a driver then answers.
    Done,
    Reply,
    Cancel,
    Deadline,
    ClientDies,
    ServerDies,
    DriverDies,
    DropReply,
    Release,
    /// The client is suspended, goes on.
    Suspend,
    Resume,
    /// The client is interrupted: its call ends or is parked; it goes back to it.
    Upcall,
    Return,
}

pub const EVENTS: [Event; 16] = [
    Event::Call,
    Event::Receive,
    Event::Use,
    Event::Done,
    Event::Reply,
    Event::Cancel,
    Event::Deadline,
    Event::ClientDies,
    Event::ServerDies,
    Event::DriverDies,
    Event::DropReply,
    Event::Release,
    Event::Suspend,
    Event::Resume,
    Event::Upcall,
    Event::Return,
];

/// Where the call is, as the server's side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    NotMade,
    Queued,
    /// Received; the reply object is bound, its caller waits or not.
    Bound,
    /// Nobody will answer; something below still holds.
    Dead,
    Over,
}

/// What should be.
#[derive(Clone, Debug)]
pub struct Model {
    pub how: Use,
    pub stage: Stage,
    /// What the client was told, once it was.
    pub told: Option<Result<(), Error>>,
    /// What it will be told if the call ends without an answer.
    pub end: Option<Error>,
    pub client_waits: bool,
    pub client: bool,
    pub server: bool,
    pub driver: bool,
    pub server_receiving: bool,
    pub withdrawn: bool,
    /// The server's own use.
    pub mapped: bool,
    /// A pin, by whom it is held: live or in quarantine.
    pub pinned: bool,
    pub quarantined: bool,
    /// The driver has the lease in a call of the server's that it has not answered.
    pub passed: bool,
    pub passed_mapped: bool,
    /// The server's second thread waits for the driver.
    pub helper_waits: bool,
    pub used: bool,
    pub reply: bool,
    /// What others see of the client while it is suspended is hidden from itself.
    pub suspended: bool,
    pub in_upcall: bool,
    /// The deadline passed while the call was parked: it counts when the client goes back to it.
    pub deadline_passed: bool,
}

impl Model {
    pub fn new(how: Use) -> Model {
        Model {
            how,
            stage: Stage::NotMade,
            told: None,
            end: None,
            client_waits: false,
            client: true,
            server: true,
            driver: true,
            server_receiving: false,
            withdrawn: false,
            mapped: false,
            pinned: false,
            quarantined: false,
            passed: false,
            passed_mapped: false,
            helper_waits: false,
            used: false,
            reply: true,
            suspended: false,
            in_upcall: false,
            deadline_passed: false,
        }
    }

    pub fn holds_below(&self) -> bool {
        self.passed_mapped || self.pinned
    }
    pub fn holds(&self) -> bool {
        self.mapped || self.holds_below()
    }
    pub fn tell(&mut self, what: Result<(), Error>) {
        if self.client_waits {
            self.client_waits = false;
            self.told = Some(what);
        }
    }
    /// The server's side of the call is gone: it ends as soon as nothing holds.
    pub fn abandon(&mut self, error: Error) {
        if self.stage == Stage::Bound {
            self.end.get_or_insert(error);
            self.withdrawn = true;
            self.mapped = false;
            self.stage = Stage::Dead;
        }
        self.settle();
    }
    pub fn settle(&mut self) {
        if self.stage == Stage::Dead && !self.holds() {
            self.stage = Stage::Over;
            let end = self.end.unwrap_or(Error::Restarted);
            self.tell(Err(end));
        }
    }

    /// Whether the event can happen now, and makes it happen.
    pub fn apply(&mut self, event: Event) -> bool {
        let possible = match event {
            Event::Call => {
                let runs = self.client && !self.suspended && !self.in_upcall;
                self.stage == Stage::NotMade && runs && self.told.is_none()
            }
            Event::Receive => self.server && self.reply && !self.server_receiving && self.stage != Stage::Bound,
            Event::Use => {
                let ready = !self.how.passes() || self.driver;
                !self.used && self.server && self.reply && self.stage == Stage::Bound && ready
            }
            Event::Done => {
                let mine = self.pinned && !self.quarantined || self.passed;
                self.used && mine && if self.how.passes() { self.driver } else { self.server }
            }
            Event::Reply => self.server && self.reply && self.stage == Stage::Bound,
            Event::Cancel | Event::Deadline => self.client && self.client_waits,
            Event::ClientDies => self.client,
            Event::ServerDies => self.server,
            Event::DriverDies => self.driver && self.how.passes(),
            Event::DropReply => self.server && self.reply,
            Event::Release => self.quarantined,
            Event::Suspend => self.client && !self.in_upcall,
            Event::Resume => self.client && self.suspended,
            Event::Upcall => self.client && !self.suspended,
            Event::Return => self.client && self.in_upcall,
        };
        if possible {
            self.happen(event);
        }
        possible
    }

    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Call => {
                self.client_waits = true;
                self.stage = if self.server_receiving { Stage::Bound } else { Stage::Queued };
                self.server_receiving = false;
            }
            Event::Receive => match self.stage {
                Stage::Queued => self.stage = Stage::Bound,
                _ => self.server_receiving = true,
            },
            Event::Use => {
                self.used = true;
                if !self.withdrawn {
                    self.mapped = self.how == Use::Map;
                    self.pinned = self.how.pins();
                    self.passed = self.how.passes();
                    self.passed_mapped = self.how == Use::PassMap;
                    self.helper_waits = self.how.passes();
                }
            }
            Event::Done => {
                // A pin in quarantine stays, even if the driver lives to answer.
                self.pinned &= self.quarantined;
                if self.passed && !self.pinned {
                    self.passed = false;
                    self.passed_mapped = false;
                    self.helper_waits = false;
                }
                self.settle();
            }
            Event::Reply => {
                if !self.holds_below() {
                    self.mapped = false;
                    self.stage = Stage::Over;
                    self.withdrawn = true;
                    self.tell(Ok(()));
                }
            }
            Event::Deadline if self.in_upcall => self.deadline_passed = true,
            Event::Cancel | Event::Deadline => {
                let error = if event == Event::Cancel { Error::Cancelled } else { Error::TimedOut };
                match self.stage {
                    Stage::Queued => {
                        self.stage = Stage::Over;
                        self.tell(Err(error));
                    }
                    _ => {
                        self.withdrawn = true;
                        if event == Event::Deadline && !self.holds() {
                            self.tell(Err(error));
                        } else {
                            self.end.get_or_insert(error);
                        }
                    }
                }
            }
            Event::ClientDies => {
                self.client = false;
                self.client_waits = false;
                self.withdrawn = true;
                if self.stage == Stage::Queued {
                    self.stage = Stage::Over;
                }
            }
            Event::ServerDies => {
                self.server = false;
                self.server_receiving = false;
                self.helper_waits = false;
                if self.pinned && !self.how.passes() {
                    self.quarantined = true;
                }
                if self.passed && !self.holds_below() {
                    // The call below is withdrawn; the driver still has to answer it, which no longer matters here.
                    self.passed = true;
                }
                self.abandon(Error::Restarted);
            }
            Event::DriverDies => {
                self.driver = false;
                self.passed_mapped = false;
                if self.pinned {
                    self.quarantined = true;
                } else {
                    self.helper_waits = false;
                }
                self.passed = false;
                self.settle();
            }
            Event::DropReply => {
                self.reply = false;
                self.server_receiving = false;
                self.abandon(Error::Closed);
            }
            Event::Suspend => self.suspended = true,
            Event::Resume => self.suspended = false,
            Event::Upcall => {
                self.in_upcall = true;
                if self.stage == Stage::Queued {
                    self.stage = Stage::Over;
                    self.tell(Err(Error::Interrupted));
                }
            }
            Event::Return => {
                self.in_upcall = false;
                if self.deadline_passed && self.client_waits {
                    self.happen(Event::Deadline);
                }
            }
            Event::Release => {
                self.pinned = false;
                self.quarantined = false;
                if !self.driver {
                    self.helper_waits = false;
                }
                self.settle();
            }
        }
    }
}
