/** RFC 3339 in UTC with milliseconds and `Z`, so that it sorts as text. */
export type Time = string;
/** JSON text. */
export type Json = string;
export type Flag = 0 | 1;
