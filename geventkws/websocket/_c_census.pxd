cimport cython

from geventkws.loop._c_channel cimport Channel as _Channel
from geventkws.websocket._c_conversation cimport Conversation as _Conversation


@cython.locals(count=Py_ssize_t, channel=_Channel, owner=_Conversation)
cpdef Py_ssize_t count_open(channels) except -1
