from geventkws.websocket cimport _c_delegate as delegate
from geventkws.websocket cimport _c_transitions as transitions
from geventkws.websocket._c_conversation cimport Conversation as _Conversation
from geventkws.websocket._c_ending cimport Ending as _Ending

cdef int ANSWERING, CLOSE, CLOSED, DROP, FAILED, HANDLED, LEAVE, LEAVING, LOST, OPEN
cdef int PEER_CLOSE, PEER_END, PEER_ERROR
cdef int NOTHING, CONNECTED, DISCONNECTED, EVERYTHING


cdef class Lifecycle(delegate.Delegate):
    cpdef handle(self, _Conversation connection, event)
    cpdef lost(self, _Conversation connection)
    cpdef check(self, _Conversation connection, now)
    cpdef step(self, _Conversation connection)
    cdef _tell_connected(self, _Conversation connection)
    cpdef closes_at_once(self, _Conversation connection)
    cpdef output_left(self, _Conversation connection)


cpdef answer_ping(_Conversation connection, bytes payload)
cdef bint _is_handling(_Conversation connection) except -1
cdef _go_on_to_last_word(_Conversation connection)
