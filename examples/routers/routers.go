package routers

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"baro.dev/socketio"
)

// NetHTTP is the router of the standard library.
func NetHTTP(io *socketio.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	return mux
}

// Chi is github.com/go-chi/chi.
func Chi(io *socketio.Server) http.Handler {
	r := chi.NewRouter()
	r.Handle("/socket.io/*", io)
	return r
}

// Gin is github.com/gin-gonic/gin.
func Gin(io *socketio.Server) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Any("/socket.io/*any", gin.WrapH(io))
	return r
}

// Echo is github.com/labstack/echo.
func Echo(io *socketio.Server) http.Handler {
	e := echo.New()
	e.Any("/socket.io/*", echo.WrapHandler(io))
	return e
}
