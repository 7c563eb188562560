//! Calls on namespaces.

use crate::cap::namespace::{bytes, scheme_name, NAME};
use crate::object::{Namespace, Session};
use crate::syscall::cap::MAKER;
use crate::syscall::{Answer, Context};
use crate::{Kernel, Machine};
use abi::{Error, Kind, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// `namespace_create`. Errors: `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn namespace_create(&self, cx: &Context) -> Result<Answer> {
        self.make::<Namespace>(cx, cx.id(), MAKER)
    }

    /// `namespace_bind`. Errors: `NameTooLong`, `InvalidName`, `BadAddress`, `BadHandle`, `WrongKind`, `NoRight` (session:
    /// `TRANSFER` is asked), `Exists`, `NotFound` (unbinding), `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn namespace_bind(&self, cx: &Context) -> Result<Answer> {
        let namespace = cx.id::<Namespace>();
        let resolve = || self.resolve(cx, cx.arg(3), Kind::Session, Rights::TRANSFER);
        let session = (cx.arg(3) != 0).then(resolve).transpose()?;
        let name = self.scheme_name_argument(cx, cx.arg(1), cx.arg(2))?;
        match session {
            Some(s) => {
                let bound = self.name_bind(namespace, name, s.id::<Session>(), s.rights, self.own_quota(cx)?)?;
                self.name_via_set(bound, s.cap, false);
            }
            None => self.name_unbind(namespace, name)?,
        }
        Ok(Answer::DONE)
    }

    /// `namespace_entry`. Errors: `NotFound`, `BadArgument` (the name is longer than the room for it), `BadAddress`.
    pub fn namespace_entry(&self, cx: &Context) -> Result<Answer> {
        let (name, length) = bytes(self.name_at(cx.id::<Namespace>(), cx.arg(1))?);
        Error::BadArgument.when((length as u64) > cx.arg(3))?;
        self.user_write(cx.process, cx.arg(2), name.get(..length).unwrap_or(&name))?;
        Ok(Answer::one(length as u64))
    }

    /// `namespace_session`. It stems from the capability that the name was bound with. Errors: `NameTooLong`, `InvalidName`,
    /// `BadAddress`, `NotFound`, `Denied` (the policy), `Retry`, `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn namespace_session(&self, cx: &Context) -> Result<Answer> {
        let name = self.scheme_name_argument(cx, cx.arg(1), cx.arg(2))?;
        let namespace = cx.id::<Namespace>();
        let (session, rights) = self.name_lookup(namespace, name)?;
        self.cap_room(cx.process, 1)?;
        let rights = self.name_decide(cx.process, session, rights, name)?;
        let bound_with = self.name_via(self.name_record(namespace, name)?);
        let handle = self.cap_insert_below(cx.process, Kind::Session, session.raw(), rights, bound_with)?;
        Ok(Answer::one(handle.word()))
    }

    /// A scheme name in the caller's memory. Errors: `NameTooLong`, `InvalidName`, `BadAddress`.
    pub(crate) fn scheme_name_argument(&self, cx: &Context, address: u64, length: u64) -> Result<[u64; 4]> {
        let mut name = [0; NAME];
        let length = usize::try_from(length).map_err(|_| Error::NameTooLong)?;
        let name = name.get_mut(..length).ok_or(Error::NameTooLong)?;
        self.user_read(cx.process, address, name)?;
        scheme_name(name)
    }
}
