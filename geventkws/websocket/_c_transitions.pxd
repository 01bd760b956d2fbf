from geventkws.loop._c_channel cimport Channel as _Channel
from geventkws.loop._c_loop cimport Loop as _Loop
from geventkws.websocket._c_conversation cimport Conversation as _Conversation
from geventkws.websocket._c_ending cimport Ending as _Ending

cimport cython

cdef int ANSWERING, ARM, CLOSED, CLOSING, DISARM, DISCARD, FINISHING, LOST, PAUSE, PEER_CLOSE
cdef int PEER_END, PEER_ERROR, RELEASE, RESUME, SEND_CLOSE, SENT, SENT_UNREAD, SHUT_DOWN, TIME
cdef int NOTHING, CONNECTED, DISCONNECTED, EVERYTHING


@cython.locals(before=int, state=int, outcome=int, actions=int, ending=_Ending)
cpdef advance(_Conversation connection, int event, code=*, text=*)
cdef _Ending _ending_of(_Conversation connection)
@cython.locals(channel=_Channel)
cdef _carry_out(_Conversation connection, _Ending ending, int state, int outcome, int actions)
@cython.locals(ending=_Ending)
cpdef take_last_word(_Conversation connection, word, int event)
@cython.locals(size=Py_ssize_t, state=int)
cpdef output_left(_Conversation connection)
@cython.locals(channel=_Channel)
cdef bint _input_is_read(_Conversation connection) except -1
@cython.locals(ending=_Ending)
cpdef bint check_deadline(_Conversation connection, now) except -1
cpdef bint is_news_due(_Conversation connection) except -1
cpdef outcome_of(_Conversation connection)
@cython.locals(due=bint)
cpdef schedule(_Conversation connection)
cpdef check_whether_over(_Conversation connection)
